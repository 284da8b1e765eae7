//! `state.json`: what the engine remembers over a restart. Read once at the start; written by a thread of its own,
//! whole or not at all. Knows no loop.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use dpmp_core::Memory;
use log::Level;
use serde::{Deserialize, Serialize};

use crate::logs::line;

/// The version of the file's form.
const VERSION: u32 = 1;

#[derive(Deserialize)]
struct Header {
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct StateFile {
    version: u32,
    memory: Memory,
}

/// Reads the file. A missing one is an empty memory. One that cannot be used is set aside, never overwritten; the
/// second value says so in words.
pub fn load(path: &Path) -> (Memory, Option<String>) {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (Memory::default(), None),
        Err(error) => return (Memory::default(), Some(format!("{} cannot be read: {error}", path.display()))),
    };
    match understand(&text) {
        Ok(memory) => (memory, None),
        Err(why) => {
            let aside = path.with_extension("json.damaged");
            let kept = match fs::rename(path, &aside) {
                Ok(()) => format!("it was kept as {}", aside.display()),
                Err(error) => format!("it could not be renamed to {}: {error}", aside.display()),
            };
            let name = path.display();
            (Memory::default(), Some(format!("{name} cannot be used ({why}); starting with an empty memory; {kept}")))
        }
    }
}

fn understand(text: &str) -> Result<Memory, String> {
    // The version first: a later form need not have our fields.
    let header: Header = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if header.version != VERSION {
        return Err(format!("its version is {}, this program reads {VERSION}", header.version));
    }
    let file: StateFile = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(file.memory)
}

/// Writes the file: into a temporary one beside it, to the disk, then in its place.
pub fn save(path: &Path, memory: &Memory) -> io::Result<()> {
    let file = StateFile { version: VERSION, memory: memory.clone() };
    let mut text = serde_json::to_vec_pretty(&file)?;
    text.push(b'\n');
    let temporary = path.with_extension("json.new");
    let mut out = File::create(&temporary)?;
    out.write_all(&text)?;
    out.sync_all()?;
    fs::rename(&temporary, path)?;
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        // The rename is on the disk when the folder is. Some file systems cannot do this, and lose only the last save.
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
    Ok(())
}

/// The thread that writes.
#[derive(Debug)]
pub struct StateWriter {
    memories: SyncSender<Memory>,
    done: Receiver<()>,
}

impl StateWriter {
    /// Starts the thread.
    pub fn start(path: PathBuf) -> io::Result<StateWriter> {
        let (memories, receiver) = sync_channel::<Memory>(1);
        let (finished, done) = sync_channel(1);
        thread::Builder::new().name("state".to_owned()).spawn(move || {
            let mut failing = false;
            for memory in receiver {
                let result = save(&path, &memory);
                if let (Err(error), false) = (&result, failing) {
                    line(Level::Warn, "state_write_failed")
                        .show("path", path.display())
                        .show("err", error)
                        .text("text", "pool sizes and the like will have to be learnt again after a restart")
                        .send();
                }
                failing = result.is_err();
            }
            // Fails only if nobody waits.
            let _ = finished.send(());
        })?;
        Ok(StateWriter { memories, done })
    }

    /// Hands a memory over. False if the last one is still being written: try again later.
    pub fn offer(&self, memory: Memory) -> bool {
        self.memories.try_send(memory).is_ok()
    }

    /// Waits until all that was taken is on the disk, at most this long.
    pub fn finish(self, at_most: Duration) {
        drop(self.memories);
        // A time-out is the bound that was asked for.
        let _ = self.done.recv_timeout(at_most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dpmp_core::PoolMemory;

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("dpmp-state-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn comes_back_as_it_was() {
        let path = folder("round").join("state.json");
        let pool = PoolMemory { extranonce2_bytes: Some(8), version_mask: Some(0x1fff_e000) };
        let memory = Memory { pools: vec![("pool:3333".to_owned(), pool)] };
        let writer = StateWriter::start(path.clone()).unwrap();
        assert!(writer.offer(memory.clone()));
        writer.finish(Duration::from_secs(5));
        assert_eq!(load(&path), (memory, None));
        assert!(!path.with_extension("json.new").exists());
    }

    #[test]
    fn missing_is_empty_and_damaged_is_kept() {
        let path = folder("damaged").join("state.json");
        assert_eq!(load(&path), (Memory::default(), None));
        for bad in ["", "{\"version\":1,\"memory\":{\"po", "{\"version\":99}", "[]"] {
            fs::write(&path, bad).unwrap();
            let (memory, message) = load(&path);
            assert_eq!(memory, Memory::default());
            assert!(message.unwrap().contains("was kept as"));
            assert!(!path.exists());
            assert_eq!(fs::read_to_string(path.with_extension("json.damaged")).unwrap(), bad);
        }
    }
}

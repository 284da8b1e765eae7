//! `dpmp trace redact`.

use std::fs;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::panic::catch_unwind;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use super::files;

/// Writes a recording without names. An existing file is left alone unless forced.
pub fn redact(input: &Path, output: &Path, force: bool) -> anyhow::Result<ExitCode> {
    let mut recording = Vec::new();
    for file in files::of(input)? {
        recording.extend(files::read(&file)?);
    }
    let exists = || anyhow::anyhow!("{} exists already; --force overwrites it", output.display());
    if !force && output.exists() {
        return Err(exists());
    }
    let key = key()?;
    // A recording that was made to harm may hold an engine that never was.
    let redacted = catch_unwind(|| dpmp_core::trace::redact(&recording, key))
        .map_err(|_| anyhow::anyhow!("the engine crashed while {} was run; nothing was written", input.display()))?
        .with_context(|| format!("{} cannot be redacted; nothing was written", input.display()))?;
    // Whole or not at all: what is half written would not replay.
    let temporary = output.with_extension("trace.new");
    let write = || -> std::io::Result<()> {
        // What is left of an earlier run may have other rights. As the recording itself, it is its owner's alone until he
        // gives it away.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(&redacted.bytes)?;
        if force {
            return fs::rename(&temporary, output);
        }
        // A link is made only if nothing is there yet.
        match fs::hard_link(&temporary, output) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(error),
            // Not every file system has links.
            Err(_) => fs::rename(&temporary, output),
            Ok(()) => fs::remove_file(&temporary),
        }
    };
    if let Err(error) = write() {
        let _ = fs::remove_file(&temporary);
        if error.kind() == ErrorKind::AlreadyExists {
            return Err(exists());
        }
        bail!("cannot write {}: {error}", output.display());
    }
    println!(
        "{}: {} segments, {} steps, {} bytes; wallets, passwords, workers, hosts, addresses and payout scripts are pseudonyms",
        output.display(),
        redacted.segments,
        redacted.steps,
        redacted.bytes.len()
    );
    if redacted.damaged > 0 {
        println!("{} bytes of {} are damaged and were left out", redacted.damaged, input.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// A key that nobody knows and that is forgotten at the end.
pub(super) fn key() -> anyhow::Result<[u8; 32]> {
    let mut key = [0; 32];
    let mut source = fs::File::open("/dev/urandom").context("cannot open /dev/urandom")?;
    source.read_exact(&mut key).context("cannot read /dev/urandom")?;
    Ok(key)
}

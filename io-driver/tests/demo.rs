//! `dpmp demo` as a newcomer runs it, for a few seconds.

mod support;

use support::{dpmp, free_port};

#[test]
fn the_demo_mines_and_loses_nothing() {
    let local = |port: u16| format!("127.0.0.1:{port}");
    let (listen, metrics, dashboard) = (local(free_port()), local(free_port()), local(free_port()));
    let mut command = dpmp();
    command.args(["demo", "--seconds", "22", "--listen", &listen, "--metrics", &metrics, "--dashboard", &dashboard]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(&format!("http://{dashboard}/   password ")), "{said}");
    for part in ["garage-s19", "pool A: ", "outages of pools: 1", "no share was lost to the proxy"] {
        assert!(said.contains(part), "{part} is missing in\n{said}");
    }
}

#[test]
fn a_taken_port_is_said_with_its_flag() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let output = dpmp().args(["demo", "--seconds", "5", "--listen", &listen]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&listen) && said.contains("--listen"), "{said}");
}

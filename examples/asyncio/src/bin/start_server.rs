//! `start_server`: an accept loop with a child for each connection. A stop ends the loop; connections that are open finish, for
//! at most as long as the grace says, and the scope returns when all are gone.
//!
//! ```python
//! async def echo(reader, writer):
//!     while line := await reader.readline():
//!         writer.write(line)
//!         await writer.drain()
//!     writer.close()
//!
//! server = await asyncio.start_server(echo, "127.0.0.1", 0)
//! ...
//! server.close()                               # no new connections
//! await server.wait_closed()                   # before Python 3.12 it returns with connections open
//! ```
//!
//! Prints:
//!
//! ```text
//! echo: hello
//! no new connections
//! echo: still served
//! the connection has ended
//! the server has stopped
//! ```

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ramus::net::{TcpListener, TcpStream};
use ramus::sync::Event;
use ramus::{BoxError, OrStopping, Scope, scope};

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer).await? {
            0 => break,
            read => stream.write_all(&buffer[..read]).await?,
        }
    }
    println!("the connection has ended");
    Ok(())
}

async fn ask(stream: &mut TcpStream, text: &str) -> io::Result<()> {
    stream.write_all(text.as_bytes()).await?;
    let mut answer = vec![0; text.len()];
    let mut filled = 0;
    while filled < answer.len() {
        match stream.read(&mut answer[filled..]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => filled += read,
        }
    }
    println!("echo: {}", String::from_utf8_lossy(&answer));
    Ok(())
}

#[ramus::main]
async fn main() -> Result<(), BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let closed = Arc::new(Event::new());
    let close = Arc::clone(&closed);
    scope(|s: Scope| async move {
        let client = s.clone();
        drop(s.spawn_try(async move {
            let mut stream = TcpStream::connect(address).await?;
            ask(&mut stream, "hello").await?;
            // Usually: `s.stop_on(signal::ctrl_c(), grace)`.
            client.stop(Duration::from_secs(60));
            closed.wait().await;
            ask(&mut stream, "still served").await
        }));
        while let Some((stream, _peer)) = listener.accept().or_stopping(&s).await? {
            drop(s.spawn(async move {
                // One client's error is not the server's.
                if let Err(error) = echo(stream).await {
                    eprintln!("a client: {error}");
                }
            }));
        }
        drop(listener);
        println!("no new connections");
        close.set();
        Ok(())
    })
    .await?;
    println!("the server has stopped");
    Ok(())
}

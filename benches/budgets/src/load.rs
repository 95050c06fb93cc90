//! A load on an HTTP server: connections that stay open, one request after the other on each.

use std::io;
use std::net::SocketAddr;

use ramus::net::TcpStream;
use ramus::{Builder, Scope};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const HEAD_ENDS: &[u8] = b"\r\n\r\n";

/// Sends `requests` requests on each of `connections` connections and reads the answers.
pub(crate) fn run(address: &str, connections: &str, requests: &str) -> Result<(), String> {
    let address: SocketAddr = address.parse().map_err(|_| format!("`{address}` is no address"))?;
    let connections: usize = connections.parse().map_err(|_| format!("`{connections}` is no number"))?;
    let requests: usize = requests.parse().map_err(|_| format!("`{requests}` is no number"))?;
    let runtime = Builder::new_multi_thread().worker_threads(1).build().map_err(|error| error.to_string())?;
    let load = ramus::scope(|scope: Scope<io::Error>| async move {
        for _ in 0..connections {
            drop(scope.spawn_try(async move { connection(address, requests).await }));
        }
        Ok(())
    });
    runtime.block_on(load).map_err(|error| error.to_string())
}

async fn connection(address: SocketAddr, requests: usize) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut buffer = [0; 1024];
    for _ in 0..requests {
        stream.write_all(REQUEST).await?;
        let mut filled = 0;
        loop {
            let read = stream.read(&mut buffer[filled..]).await?;
            filled += read;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if is_answer(&buffer[..filled])? {
                break;
            }
        }
    }
    Ok(())
}

/// Whether `answer` is whole; an error if it is none that was asked for.
fn is_answer(answer: &[u8]) -> io::Result<bool> {
    let Some(head) = answer.windows(HEAD_ENDS.len()).position(|window| window == HEAD_ENDS) else { return Ok(false) };
    let text = String::from_utf8_lossy(&answer[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    match length {
        Some(length) if text.starts_with("http/1.1 200 ") => Ok(answer.len() == head + HEAD_ENDS.len() + length),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, text)),
    }
}

#[cfg(test)]
mod tests {
    use super::is_answer;

    #[test]
    fn an_answer_has_a_head_and_a_body() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        for cut in 0..answer.len() {
            assert!(!is_answer(&answer[..cut]).unwrap(), "{cut}");
        }
        assert!(is_answer(answer).unwrap());
        is_answer(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n").unwrap_err();
    }
}

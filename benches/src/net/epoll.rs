//! The floor: a loop per thread over mio's `Poll`, no tasks, no HTTP parser.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};

use super::{BUFFER, HELLO, Service};
use crate::WORKERS;

const NEW: Token = Token(usize::MAX);

/// Accepts here, and hands the connections out to the loops in turns.
pub(super) fn serve(service: Service, listener: TcpListener) -> io::Result<()> {
    listener.set_nonblocking(false)?;
    let mut loops = Vec::new();
    for _ in 0..WORKERS {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), NEW)?;
        let (give, take) = mpsc::channel();
        let worker = Loop { poll, new: take, open: Vec::new(), buffer: vec![0; BUFFER], answer: answer(service) };
        thread::spawn(|| worker.run().expect("a loop goes on"));
        loops.push((give, Arc::new(waker)));
    }
    for turn in (0..WORKERS).cycle() {
        let (stream, _peer) = listener.accept()?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let (give, waker) = &loops[turn];
        give.send(TcpStream::from_std(stream)).map_err(io::Error::other)?;
        waker.wake()?;
    }
    Ok(())
}

/// What is sent for each request; nothing for an echo.
fn answer(service: Service) -> Option<Vec<u8>> {
    match service {
        Service::Echo => None,
        Service::Http(_) => {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", HELLO.len());
            Some([head.as_bytes(), HELLO].concat())
        }
    }
}

struct Loop {
    poll: Poll,
    new: Receiver<TcpStream>,
    /// By token; those that have closed are gone.
    open: Vec<Option<TcpStream>>,
    buffer: Vec<u8>,
    answer: Option<Vec<u8>>,
}

impl Loop {
    fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            for event in &events {
                if event.token() == NEW {
                    self.add_new()?;
                } else if self.serve(event.token().0).is_err() {
                    self.open[event.token().0] = None;
                }
            }
        }
    }

    fn add_new(&mut self) -> io::Result<()> {
        while let Ok(mut stream) = self.new.try_recv() {
            self.poll.registry().register(&mut stream, Token(self.open.len()), Interest::READABLE)?;
            self.open.push(Some(stream));
        }
        Ok(())
    }

    /// Answers what has come. A client has one message under way, so an answer fits into the socket's buffer.
    fn serve(&mut self, token: usize) -> io::Result<()> {
        let Some(stream) = &mut self.open[token] else { return Ok(()) };
        loop {
            let read = match stream.read(&mut self.buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let answer = self.answer.as_deref().unwrap_or(&self.buffer[..read]);
            if stream.write(answer)? != answer.len() {
                return Err(ErrorKind::WriteZero.into());
            }
            // The kernel says again when there is more.
            if read < self.buffer.len() {
                return Ok(());
            }
        }
    }
}

//! A mail server that takes submissions: EHLO, AUTH PLAIN and LOGIN, MAIL, RCPT, DATA. In clear, as it stands on the loopback. It
//! keeps what it takes.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// The longest message that it takes.
const BYTES_MAX: usize = 1 << 20;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The sender of the envelope.
    pub from: String,
    /// Its receivers.
    pub to: Vec<String>,
    /// Headers and body, lines ending in CRLF.
    pub text: String,
}

/// What goes wrong with the next message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// It asks to come back: 451 to the receiver.
    ComeBack,
    /// It refuses the receiver: 550.
    NoSuchMailbox,
    /// It takes the message, and the connection dies before it says so.
    AnswerLost,
}

#[derive(Debug, Default)]
struct Room {
    mails: Vec<Mail>,
    mishaps: VecDeque<Mishap>,
}

/// A running mail server.
#[derive(Debug)]
pub struct MailServer {
    address: SocketAddr,
    room: Arc<Mutex<Room>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl MailServer {
    /// Listens on a free port of the loopback. With a login, nobody sends without it.
    ///
    /// # Errors
    /// No port can be bound.
    pub async fn open(login: Option<(&str, &str)>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let room = Arc::<Mutex<Room>>::default();
        let (shared, login) = (Arc::clone(&room), login.map(|(user, password)| (user.to_owned(), password.to_owned())));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (room, login) = (Arc::clone(&shared), login.clone());
                tokio::spawn(async move {
                    // A conversation that breaks off is the other side's trouble.
                    let _ = converse(stream, &room, login.as_ref()).await;
                });
            }
        });
        Ok(Self { address, room, task })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What it took, oldest first.
    pub fn mails(&self) -> Vec<Mail> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner).mails.clone()
    }

    /// What goes wrong with the next messages, one each.
    pub fn mishaps(&self, mishaps: &[Mishap]) {
        self.room.lock().unwrap_or_else(PoisonError::into_inner).mishaps.extend(mishaps);
    }
}

async fn converse(stream: TcpStream, room: &Mutex<Room>, login: Option<&(String, String)>) -> io::Result<()> {
    let (reading, mut writing) = stream.into_split();
    let mut lines = BufReader::new(reading).lines();
    writing.write_all(b"220 mail.stand-in ESMTP\r\n").await?;
    let (mut from, mut to, mut known) = (String::new(), Vec::new(), login.is_none());
    let mut mishap = None;
    while let Some(line) = lines.next_line().await? {
        let upper = line.to_ascii_uppercase();
        let answer = match upper.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => if login.is_some() {
                "250-mail.stand-in\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN\r\n"
            } else {
                "250-mail.stand-in\r\n250 8BITMIME\r\n"
            }
            .to_owned(),
            "HELO" | "RSET" | "NOOP" => "250 OK\r\n".to_owned(),
            "AUTH" => {
                let given = line.split(' ').nth(2).and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
                let expected = login.map(|(user, password)| format!("\0{user}\0{password}").into_bytes());
                known = expected.as_deref() == Some(given.as_slice());
                if known { "235 2.7.0 Accepted\r\n" } else { "535 5.7.8 Username and password not accepted\r\n" }.to_owned()
            }
            "MAIL" if !known => "530 5.7.0 Authentication required\r\n".to_owned(),
            "MAIL" => {
                from = address(&line);
                mishap = room.lock().unwrap_or_else(PoisonError::into_inner).mishaps.pop_front();
                "250 2.1.0 OK\r\n".to_owned()
            }
            "RCPT" => match mishap {
                Some(Mishap::ComeBack) => "451 4.3.0 Try again later\r\n".to_owned(),
                Some(Mishap::NoSuchMailbox) => "550 5.1.1 No such mailbox\r\n".to_owned(),
                _ => {
                    to.push(address(&line));
                    "250 2.1.5 OK\r\n".to_owned()
                }
            },
            "DATA" => {
                writing.write_all(b"354 Go ahead\r\n").await?;
                let mut text = String::new();
                while let Some(line) = lines.next_line().await? {
                    if line == "." || text.len() > BYTES_MAX {
                        break;
                    }
                    // A dot at the start of a line was doubled under way.
                    text.push_str(line.strip_prefix('.').unwrap_or(&line));
                    text.push_str("\r\n");
                }
                let mail = Mail { from: std::mem::take(&mut from), to: std::mem::take(&mut to), text };
                let number = {
                    let mut room = room.lock().unwrap_or_else(PoisonError::into_inner);
                    room.mails.push(mail);
                    room.mails.len()
                };
                if mishap == Some(Mishap::AnswerLost) {
                    return Ok(());
                }
                format!("250 2.0.0 OK queued as {number}\r\n")
            }
            "QUIT" => {
                writing.write_all(b"221 2.0.0 Bye\r\n").await?;
                return Ok(());
            }
            _ => "502 5.5.1 Not here\r\n".to_owned(),
        };
        writing.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

/// What stands between the angle brackets.
fn address(line: &str) -> String {
    line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(address, _)| address.to_owned()).unwrap_or_default()
}

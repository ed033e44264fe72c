//! A server over a folder, for stand-ins and tests: strict where the usual servers are (a rename onto a file that
//! exists fails), and with a gate at which operations can be refused or their answers lost.

use std::{
    collections::HashMap,
    io::{Read, Seek, SeekFrom, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use russh::{
    Channel, ChannelId,
    keys::{Algorithm, HashAlg, PrivateKey, PublicKey, decode_secret_key, ssh_key::LineEnding},
    server::{
        Auth, ChannelOpenHandle, Handle as ServerHandle, Handler as SshHandler, Msg, Server as _, Session, VerifiedPublicKey,
    },
};
use russh_sftp::{
    protocol::{Attrs, Data, File, FileAttributes, Handle, Name, OpenFlags, Status, StatusCode},
    server::StatusReply,
};
use tokio::{net::TcpListener, task::JoinHandle};

/// What is asked of the server, for the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A folder is listed.
    List(String),
    /// A file is opened for reading.
    Read(String),
    /// A file is opened for writing.
    Write(String),
    /// A file gets another name.
    Rename(String, String),
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It happens.
    Do,
    /// Permission denied.
    Deny,
    /// "Failure", as a full disk says.
    Fail,
    /// The connection breaks before it happens.
    BreakBefore,
    /// It happens, and the connection breaks before the answer.
    BreakAfter,
}

/// Decides what becomes of each operation.
pub type Gate = dyn Fn(&Operation) -> Fate + Send + Sync;

/// What is served to whom.
#[derive(Clone)]
pub struct Server {
    /// The folder; nothing outside it can be reached.
    pub root: PathBuf,
    /// Who may log in.
    pub user: String,
    /// With this password.
    pub password: String,
    /// Or with the key of this OpenSSH public key line.
    pub public_key: Option<String>,
    /// What becomes of each operation.
    pub gate: Arc<Gate>,
}

/// A running server; it ends when this is dropped.
pub struct Served {
    /// Where it listens.
    pub address: SocketAddr,
    /// The fingerprint of its key.
    pub host_key: String,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Served {
    /// Ends it; its port is free when this returns.
    pub async fn stop(mut self) {
        self.task.abort();
        // It was cancelled, or had ended: nothing is left of it either way.
        let _ = (&mut self.task).await;
    }
}

impl Server {
    /// A server to which nothing bad happens.
    pub fn new(root: impl Into<PathBuf>, user: &str, password: &str) -> Self {
        Self {
            root: root.into(),
            user: user.to_owned(),
            password: password.to_owned(),
            public_key: None,
            gate: Arc::new(|_| Fate::Do),
        }
    }

    /// Serves on a port of 127.0.0.1 (0: any free one). The host key is kept in `key_file`, where one is given.
    ///
    /// # Errors
    /// When the port is taken or the key cannot be kept.
    pub async fn serve(self, port: u16, key_file: Option<&Path>) -> std::io::Result<Served> {
        let key = host_key(key_file)?;
        let host_key = key.public_key().fingerprint(HashAlg::Sha256).to_string();
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let config = Arc::new(russh::server::Config {
            auth_rejection_time: Duration::from_millis(20),
            auth_rejection_time_initial: Some(Duration::ZERO),
            keys: vec![key],
            nodelay: true,
            ..Default::default()
        });
        let task = tokio::spawn(async move {
            let mut house = House(Arc::new(self));
            if let Err(why) = house.run_on_socket(config, &listener).await {
                tracing::error!(%why, "the SFTP server stops");
            }
        });
        Ok(Served { address, host_key, task })
    }
}

fn other(why: impl std::fmt::Display) -> std::io::Error {
    std::io::Error::other(why.to_string())
}

fn host_key(file: Option<&Path>) -> std::io::Result<PrivateKey> {
    if let Some(text) = file.and_then(|file| std::fs::read_to_string(file).ok()) {
        return decode_secret_key(&text, None).map_err(other);
    }
    let key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).map_err(other)?;
    if let Some(file) = file {
        std::fs::write(file, key.to_openssh(LineEnding::LF).map_err(other)?.as_bytes())?;
    }
    Ok(key)
}

struct House(Arc<Server>);

impl russh::server::Server for House {
    type Handler = Guest;

    fn new_client(&mut self, _peer: Option<SocketAddr>) -> Guest {
        Guest { server: Arc::clone(&self.0), channels: HashMap::new() }
    }
}

struct Guest {
    server: Arc<Server>,
    channels: HashMap<ChannelId, Channel<Msg>>,
}

impl Guest {
    fn verdict(good: bool) -> Auth {
        if good { Auth::Accept } else { Auth::reject() }
    }
}

impl SshHandler for Guest {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        Ok(Self::verdict(user == self.server.user && password == self.server.password))
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let known = self.server.public_key.as_deref().and_then(|line| PublicKey::from_openssh(line).ok());
        Ok(Self::verdict(user == self.server.user && known.is_some_and(|known| known.key_data() == key.public_key.key_data())))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn channel_eof(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        session.close(channel)
    }

    async fn subsystem_request(&mut self, id: ChannelId, name: &str, session: &mut Session) -> Result<(), Self::Error> {
        match self.channels.remove(&id) {
            Some(channel) if name == "sftp" => {
                session.channel_success(id)?;
                let shelf = Shelf {
                    server: Arc::clone(&self.server),
                    open: HashMap::new(),
                    next: 0,
                    connection: session.handle(),
                    channel: id,
                };
                russh_sftp::server::run(channel.into_stream(), shelf).await;
                Ok(())
            }
            _ => session.channel_failure(id),
        }
    }
}

/// An open file, or the names of a folder that were not told yet.
enum Opened {
    File(Mutex<std::fs::File>),
    Folder(Option<Vec<File>>),
}

struct Shelf {
    server: Arc<Server>,
    open: HashMap<String, Opened>,
    next: u64,
    connection: ServerHandle,
    channel: ChannelId,
}

fn status(id: u32) -> Status {
    Status { id, status_code: StatusCode::Ok, error_message: "Ok".to_owned(), language_tag: "en-US".to_owned() }
}

fn sorted(why: &std::io::Error) -> StatusReply {
    match why.kind() {
        std::io::ErrorKind::NotFound => StatusCode::NoSuchFile.into(),
        std::io::ErrorKind::PermissionDenied => StatusCode::PermissionDenied.into(),
        _ => StatusCode::Failure.with_message(why.to_string()),
    }
}

impl Shelf {
    /// Where a path of the client lies; `..` and the like lead nowhere.
    fn place(&self, path: &str) -> Result<PathBuf, StatusReply> {
        let mut place = self.server.root.clone();
        for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
            if part == ".." {
                return Err(StatusCode::PermissionDenied.into());
            }
            place.push(part);
        }
        Ok(place)
    }

    fn keep(&mut self, id: u32, opened: Opened) -> Handle {
        self.next += 1;
        let handle = self.next.to_string();
        self.open.insert(handle.clone(), opened);
        Handle { id, handle }
    }

    async fn gone(&self) -> StatusReply {
        let _ = self.connection.close(self.channel).await;
        StatusCode::Failure.into()
    }

    /// Lets the operation happen, or not.
    async fn passing<T>(
        &mut self,
        operation: Operation,
        act: impl FnOnce(&mut Self) -> Result<T, StatusReply>,
    ) -> Result<T, StatusReply> {
        match (self.server.gate)(&operation) {
            Fate::Do => act(self),
            Fate::Deny => Err(StatusCode::PermissionDenied.into()),
            Fate::Fail => Err(StatusCode::Failure.into()),
            Fate::BreakBefore => Err(self.gone().await),
            Fate::BreakAfter => {
                let _ = act(self);
                Err(self.gone().await)
            }
        }
    }
}

impl russh_sftp::server::Handler for Shelf {
    type Error = StatusReply;

    fn unimplemented(&self) -> Self::Error {
        StatusCode::OpUnsupported.into()
    }

    async fn open(&mut self, id: u32, path: String, flags: OpenFlags, _attrs: FileAttributes) -> Result<Handle, Self::Error> {
        let writes = flags.contains(OpenFlags::WRITE);
        let operation = if writes { Operation::Write(path.clone()) } else { Operation::Read(path.clone()) };
        self.passing(operation, |shelf| {
            let place = shelf.place(&path)?;
            let mut how = std::fs::OpenOptions::new();
            how.read(!writes).write(writes);
            how.create(flags.contains(OpenFlags::CREATE)).truncate(flags.contains(OpenFlags::TRUNCATE));
            let file = how.open(place).map_err(|why| sorted(&why))?;
            Ok(shelf.keep(id, Opened::File(Mutex::new(file))))
        })
        .await
    }

    async fn close(&mut self, id: u32, handle: String) -> Result<Status, Self::Error> {
        self.open.remove(&handle);
        Ok(status(id))
    }

    async fn read(&mut self, id: u32, handle: String, offset: u64, len: u32) -> Result<Data, Self::Error> {
        let Some(Opened::File(file)) = self.open.get(&handle) else { return Err(StatusCode::Failure.into()) };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut data = Vec::new();
        let read = file
            .seek(SeekFrom::Start(offset))
            .and_then(|_| (&mut *file).take(u64::from(len.min(1 << 18))).read_to_end(&mut data));
        match read {
            Ok(0) => Err(StatusCode::Eof.into()),
            Ok(_) => Ok(Data { id, data }),
            Err(why) => Err(sorted(&why)),
        }
    }

    async fn write(&mut self, id: u32, handle: String, offset: u64, data: Vec<u8>) -> Result<Status, Self::Error> {
        let Some(Opened::File(file)) = self.open.get(&handle) else { return Err(StatusCode::Failure.into()) };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset)).and_then(|_| file.write_all(&data)).map_err(|why| sorted(&why))?;
        Ok(status(id))
    }

    async fn stat(&mut self, id: u32, path: String) -> Result<Attrs, Self::Error> {
        let about = std::fs::metadata(self.place(&path)?).map_err(|why| sorted(&why))?;
        Ok(Attrs { id, attrs: FileAttributes::from(&about) })
    }

    async fn lstat(&mut self, id: u32, path: String) -> Result<Attrs, Self::Error> {
        self.stat(id, path).await
    }

    async fn opendir(&mut self, id: u32, path: String) -> Result<Handle, Self::Error> {
        self.passing(Operation::List(path.clone()), |shelf| {
            let mut files = Vec::new();
            for entry in std::fs::read_dir(shelf.place(&path)?).map_err(|why| sorted(&why))?.flatten() {
                let Ok(about) = entry.metadata() else { continue };
                files.push(File::new(entry.file_name().to_string_lossy().into_owned(), FileAttributes::from(&about)));
            }
            Ok(shelf.keep(id, Opened::Folder(Some(files))))
        })
        .await
    }

    async fn readdir(&mut self, id: u32, handle: String) -> Result<Name, Self::Error> {
        match self.open.get_mut(&handle) {
            Some(Opened::Folder(files)) => match files.as_mut() {
                // In pieces, as one packet holds only so many.
                Some(left) if !left.is_empty() => Ok(Name { id, files: left.drain(..left.len().min(100)).collect() }),
                _ => Err(StatusCode::Eof.into()),
            },
            _ => Err(StatusCode::Failure.into()),
        }
    }

    async fn remove(&mut self, id: u32, path: String) -> Result<Status, Self::Error> {
        std::fs::remove_file(self.place(&path)?).map_err(|why| sorted(&why))?;
        Ok(status(id))
    }

    async fn mkdir(&mut self, id: u32, path: String, _attrs: FileAttributes) -> Result<Status, Self::Error> {
        std::fs::create_dir(self.place(&path)?).map_err(|why| sorted(&why))?;
        Ok(status(id))
    }

    async fn realpath(&mut self, id: u32, path: String) -> Result<Name, Self::Error> {
        let shown =
            if path.starts_with('/') { path } else { format!("/{}", path.trim_start_matches("./").trim_end_matches('.')) };
        Ok(Name { id, files: vec![File::dummy(shown)] })
    }

    async fn rename(&mut self, id: u32, from: String, to: String) -> Result<Status, Self::Error> {
        self.passing(Operation::Rename(from.clone(), to.clone()), |shelf| {
            let (old, new) = (shelf.place(&from)?, shelf.place(&to)?);
            // As link(2) behind the usual server does: what is not there is said before what is.
            std::fs::symlink_metadata(&old).map_err(|why| sorted(&why))?;
            if new.exists() {
                return Err(StatusCode::Failure.with_message("the target exists"));
            }
            std::fs::rename(old, new).map_err(|why| sorted(&why))?;
            Ok(status(id))
        })
        .await
    }
}

//! The client: one connection, opened when it is first needed and again after it broke.

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use russh::{
    client, kex,
    keys::{HashAlg, PrivateKeyWithHashAlg, PublicKeyOrCertificate, decode_secret_key},
};
use russh_sftp::{
    client::{Config as SftpConfig, SftpSession, error::Error as SftpError},
    protocol::{OpenFlags, StatusCode},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Mutex,
    time::timeout,
};

/// How to log in.
#[derive(Clone, Debug)]
pub enum Login {
    /// With a password.
    Password(SecretString),
    /// With a private key in OpenSSH or PEM form, without a passphrase.
    Key(SecretString),
}

/// A partner's server.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Name or address.
    pub host: String,
    /// Port; 22 as a rule.
    pub port: u16,
    /// Who we are there.
    pub user: String,
    /// How that is proven.
    pub login: Login,
    /// The fingerprint of the server's key as `ssh-keygen -l` prints it: `SHA256:…`. Anything else that answers is refused.
    pub host_key: String,
    /// Whether key exchanges with SHA-1 are accepted: some old servers offer nothing else.
    pub legacy: bool,
    /// How long one answer may take.
    pub timeout: Duration,
    /// Whether an address that the name stands for may be connected to.
    pub permits: fn(IpAddr) -> bool,
}

/// What a folder holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, without the folder.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Last change, in seconds since 1970 by the server's clock; 0 where it does not tell.
    pub modified: i64,
}

/// An operation that came back without its result.
#[derive(Debug, thiserror::Error)]
pub enum SftpFault {
    /// The server was not reached; nothing happened there.
    #[error("{host} was not reached: {why}")]
    Unreached {
        /// Which server.
        host: String,
        /// Why.
        why: String,
    },
    /// Another key than the stated one: the server was changed, or it is somebody else.
    #[error("{host} shows the host key {seen}, and {wanted} is expected")]
    HostKey {
        /// Which server.
        host: String,
        /// What it showed.
        seen: String,
        /// What was stated.
        wanted: String,
    },
    /// The login was refused, or the key cannot be used.
    #[error("{host} refuses the login of {user}: {why}")]
    Login {
        /// Which server.
        host: String,
        /// Who.
        user: String,
        /// Why.
        why: String,
    },
    /// There is no such file or folder.
    #[error("{path} is not there")]
    Missing {
        /// Which.
        path: String,
    },
    /// The user may not do that.
    #[error("{path}: permission denied")]
    Denied {
        /// Where.
        path: String,
    },
    /// The server said no: a rename onto a file that exists, a full disk.
    #[error("{path}: {said}")]
    Failed {
        /// Where.
        path: String,
        /// Its words.
        said: String,
    },
    /// More bytes than anyone reads.
    #[error("{path} is larger than {max} bytes")]
    TooLarge {
        /// Which.
        path: String,
        /// The limit.
        max: usize,
    },
    /// What was written is not as long as what was sent: the disk was full, or somebody else wrote.
    #[error("{path} holds {there} bytes after {sent} were written")]
    Short {
        /// Which.
        path: String,
        /// Bytes there.
        there: u64,
        /// Bytes sent.
        sent: u64,
    },
    /// It was asked for, and no answer came: it may or may not have happened.
    #[error("{path}: no answer: {why}")]
    Lost {
        /// Where.
        path: String,
        /// Why.
        why: String,
    },
}

/// What the server showed when it was asked for its key.
#[derive(Clone, Default)]
struct Shown(Arc<std::sync::Mutex<String>>);

struct Doorman {
    wanted: String,
    shown: Shown,
}

impl client::Handler for Doorman {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let seen = match key {
            PublicKeyOrCertificate::PublicKey { key, .. } => key.fingerprint(HashAlg::Sha256).to_string(),
            PublicKeyOrCertificate::Certificate(certificate) => certificate.public_key().fingerprint(HashAlg::Sha256).to_string(),
        };
        let fits = seen == self.wanted;
        *self.shown.0.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        Ok(fits)
    }
}

struct Open {
    /// Dropping it ends the connection.
    ssh: client::Handle<Doorman>,
    sftp: SftpSession,
}

/// A partner's server, reached when needed.
pub struct Sftp {
    remote: Remote,
    open: Mutex<Option<Arc<Open>>>,
    under_way: AtomicUsize,
}

impl std::fmt::Debug for Sftp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sftp").field("host", &self.remote.host).field("user", &self.remote.user).finish_non_exhaustive()
    }
}

struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Sftp {
    /// No call is made.
    pub fn new(remote: Remote) -> Self {
        Self { remote, open: Mutex::new(None), under_way: AtomicUsize::new(0) }
    }

    /// Operations under way.
    pub fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    fn counted(&self) -> Counted<'_> {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        Counted(&self.under_way)
    }

    /// The files of a folder, by name; folders in it are left out.
    ///
    /// # Errors
    /// [`SftpFault::Missing`] when there is no such folder, and those of the way there.
    pub async fn list(&self, folder: &str) -> Result<Vec<Entry>, SftpFault> {
        let _counted = self.counted();
        let open = self.session().await?;
        let read = self.within(&open, folder, open.sftp.read_dir(folder)).await?;
        let mut entries: Vec<Entry> = read
            .filter(|entry| !entry.file_type().is_dir())
            .map(|entry| {
                let about = entry.metadata();
                Entry { name: entry.file_name(), size: about.size.unwrap_or(0), modified: about.mtime.map_or(0, i64::from) }
            })
            .collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// [`SftpFault::Missing`], [`SftpFault::TooLarge`], and those of the way there.
    pub async fn read(&self, path: &str, max: usize) -> Result<Vec<u8>, SftpFault> {
        let _counted = self.counted();
        let open = self.session().await?;
        let mut file = self.within(&open, path, open.sftp.open(path)).await?;
        let mut bytes = Vec::new();
        let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
        let read = timeout(self.patience(max), async { (&mut file).take(limit).read_to_end(&mut bytes).await }).await;
        match read {
            Ok(Ok(_)) if bytes.len() > max => Err(SftpFault::TooLarge { path: path.to_owned(), max }),
            Ok(Ok(_)) => {
                // What was read is whole; whether the server heard of the closing changes nothing.
                let _ = timeout(self.remote.timeout, file.close()).await;
                Ok(bytes)
            }
            Ok(Err(why)) => {
                self.broken(&open).await;
                Err(SftpFault::Lost { path: path.to_owned(), why: why.to_string() })
            }
            Err(_) => {
                self.broken(&open).await;
                Err(SftpFault::Lost { path: path.to_owned(), why: "it took too long".to_owned() })
            }
        }
    }

    /// Writes a file, over what is there, and looks whether it has the length that was sent: SFTP has no mark of an end.
    ///
    /// # Errors
    /// [`SftpFault::Short`] when it has not, and those of the way there.
    pub async fn write(&self, path: &str, bytes: &[u8]) -> Result<(), SftpFault> {
        let _counted = self.counted();
        let open = self.session().await?;
        let flags = OpenFlags::CREATE | OpenFlags::TRUNCATE | OpenFlags::WRITE;
        let mut file = self.within(&open, path, open.sftp.open_with_flags(path, flags)).await?;
        let written = timeout(self.patience(bytes.len()), async {
            file.write_all(bytes).await?;
            file.flush().await?;
            file.close().await
        })
        .await;
        match written {
            Ok(Ok(())) => {}
            Ok(Err(why)) => {
                self.broken(&open).await;
                return Err(SftpFault::Lost { path: path.to_owned(), why: why.to_string() });
            }
            Err(_) => {
                self.broken(&open).await;
                return Err(SftpFault::Lost { path: path.to_owned(), why: "it took too long".to_owned() });
            }
        }
        let about = self.within(&open, path, open.sftp.metadata(path)).await?;
        let (there, sent) = (about.size.unwrap_or(0), u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if there == sent { Ok(()) } else { Err(SftpFault::Short { path: path.to_owned(), there, sent }) }
    }

    /// Whether there is such a file or folder.
    ///
    /// # Errors
    /// Those of the way there.
    pub async fn exists(&self, path: &str) -> Result<bool, SftpFault> {
        let _counted = self.counted();
        let open = self.session().await?;
        match self.within(&open, path, open.sftp.metadata(path)).await {
            Ok(_) => Ok(true),
            Err(SftpFault::Missing { .. }) => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    /// Gives a file another name; on the usual servers this fails when that name is taken.
    ///
    /// # Errors
    /// [`SftpFault::Lost`] when nobody knows whether it happened, and those of the way there.
    pub async fn rename(&self, from: &str, to: &str) -> Result<(), SftpFault> {
        let _counted = self.counted();
        let open = self.session().await?;
        self.within(&open, from, open.sftp.rename(from, to)).await
    }

    /// Makes a folder, unless it is there.
    ///
    /// # Errors
    /// Those of the way there.
    pub async fn make_folder(&self, path: &str) -> Result<(), SftpFault> {
        if self.exists(path).await? {
            return Ok(());
        }
        let _counted = self.counted();
        let open = self.session().await?;
        self.within(&open, path, open.sftp.create_dir(path)).await
    }

    /// Time for so many bytes: the usual one, and a second for each 64 KiB.
    fn patience(&self, bytes: usize) -> Duration {
        self.remote.timeout + Duration::from_secs(u64::try_from(bytes >> 16).unwrap_or(u64::MAX).min(3_600))
    }

    /// One operation within its time, its failure sorted.
    async fn within<T>(
        &self,
        open: &Arc<Open>,
        path: &str,
        operation: impl Future<Output = Result<T, SftpError>>,
    ) -> Result<T, SftpFault> {
        let path = path.to_owned();
        match timeout(self.remote.timeout, operation).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(SftpError::Status(status))) => Err(match status.status_code {
                StatusCode::NoSuchFile => SftpFault::Missing { path },
                StatusCode::PermissionDenied => SftpFault::Denied { path },
                StatusCode::ConnectionLost | StatusCode::NoConnection => {
                    self.broken(open).await;
                    SftpFault::Lost { path, why: status.error_message }
                }
                _ => SftpFault::Failed { path, said: format!("{} ({:?})", status.error_message, status.status_code) },
            }),
            Ok(Err(why)) => {
                self.broken(open).await;
                Err(SftpFault::Lost { path, why: why.to_string() })
            }
            Err(_) => {
                self.broken(open).await;
                Err(SftpFault::Lost { path, why: "it took too long".to_owned() })
            }
        }
    }

    /// The next operation opens a new connection. Somebody else may have done so already.
    async fn broken(&self, which: &Arc<Open>) {
        let mut open = self.open.lock().await;
        if open.as_ref().is_some_and(|current| Arc::ptr_eq(current, which)) {
            *open = None;
        }
    }

    async fn session(&self) -> Result<Arc<Open>, SftpFault> {
        let mut open = self.open.lock().await;
        if let Some(current) = open.as_ref().filter(|current| !current.ssh.is_closed()) {
            return Ok(Arc::clone(current));
        }
        let fresh = match timeout(self.remote.timeout, self.connect()).await {
            Ok(fresh) => Arc::new(fresh?),
            Err(_) => return Err(self.unreached("it took too long")),
        };
        *open = Some(Arc::clone(&fresh));
        Ok(fresh)
    }

    fn unreached(&self, why: impl std::fmt::Display) -> SftpFault {
        SftpFault::Unreached { host: self.remote.host.clone(), why: why.to_string() }
    }

    fn no_login(&self, why: impl std::fmt::Display) -> SftpFault {
        SftpFault::Login { host: self.remote.host.clone(), user: self.remote.user.clone(), why: why.to_string() }
    }

    /// Where the name leads to, as far as that may be connected to.
    async fn addresses(&self) -> Result<Vec<SocketAddr>, SftpFault> {
        let found = tokio::net::lookup_host((self.remote.host.as_str(), self.remote.port)).await;
        let found: Vec<SocketAddr> = found.map_err(|why| self.unreached(why))?.collect();
        let permitted: Vec<SocketAddr> = found.iter().copied().filter(|at| (self.remote.permits)(at.ip())).collect();
        if permitted.is_empty() && !found.is_empty() {
            return Err(self.unreached(
                "it leads to this machine or into a private network; if that is meant, set allow_private = true beside the host in the config",
            ));
        }
        Ok(permitted)
    }

    async fn connect(&self) -> Result<Open, SftpFault> {
        let remote = &self.remote;
        let mut config =
            client::Config { nodelay: true, keepalive_interval: Some(Duration::from_secs(30)), ..Default::default() };
        if remote.legacy {
            let mut offered = config.preferred.kex.to_vec();
            offered.extend([kex::DH_GEX_SHA1, kex::DH_G14_SHA1]);
            config.preferred.kex = Cow::Owned(offered);
        }
        let shown = Shown::default();
        let doorman = Doorman { wanted: remote.host_key.clone(), shown: shown.clone() };
        let addresses = self.addresses().await?;
        let connected = client::connect(Arc::new(config), addresses.as_slice(), doorman).await;
        let mut ssh = match connected {
            Ok(ssh) => ssh,
            Err(why) => {
                let seen = shown.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
                return Err(if !seen.is_empty() && seen != remote.host_key {
                    SftpFault::HostKey { host: remote.host.clone(), seen, wanted: remote.host_key.clone() }
                } else {
                    self.unreached(why)
                });
            }
        };
        let proven = match &remote.login {
            Login::Password(password) => ssh.authenticate_password(&remote.user, password.expose_secret()).await,
            Login::Key(text) => {
                let key = decode_secret_key(text.expose_secret(), None)
                    .map_err(|why| self.no_login(format!("the private key cannot be read: {why}")))?;
                let hash = ssh.best_supported_rsa_hash().await.map_err(|why| self.unreached(why))?.flatten();
                ssh.authenticate_publickey(&remote.user, PrivateKeyWithHashAlg::new(Arc::new(key), hash)).await
            }
        };
        match proven {
            Ok(answer) if answer.success() => {}
            Ok(_) => return Err(self.no_login("the server does not take it")),
            Err(why) => return Err(self.unreached(why)),
        }
        let channel = ssh.channel_open_session().await.map_err(|why| self.unreached(why))?;
        channel.request_subsystem(true, "sftp").await.map_err(|why| self.unreached(why))?;
        let config = SftpConfig { request_timeout_secs: remote.timeout.as_secs().max(1), ..SftpConfig::default() };
        let sftp = SftpSession::new_with_config(channel.into_stream(), config).await.map_err(|why| self.unreached(why))?;
        Ok(Open { ssh, sftp })
    }
}

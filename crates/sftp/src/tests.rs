use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use super::*;

async fn served(gate: impl Fn(&Operation) -> Fate + Send + Sync + 'static) -> (tempfile::TempDir, Served) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("in")).unwrap();
    let server = Server { gate: Arc::new(gate), ..Server::new(folder.path(), "brand", "s3cret") };
    let served = server.serve(0, None).await.unwrap();
    (folder, served)
}

fn remote(served: &Served) -> Remote {
    Remote {
        permits: |_| true,
        host: "127.0.0.1".to_owned(),
        port: served.address.port(),
        user: "brand".to_owned(),
        login: Login::Password("s3cret".to_owned().into()),
        host_key: served.host_key.clone(),
        legacy: false,
        timeout: Duration::from_secs(5),
    }
}

#[tokio::test]
async fn files_are_written_listed_read_and_renamed() {
    let (_folder, served) = served(|_| Fate::Do).await;
    let sftp = Sftp::new(remote(&served));
    let large = vec![7_u8; 300_000];
    sftp.write("in/.a.part", &large).await.unwrap();
    sftp.rename("in/.a.part", "in/a.csv").await.unwrap();
    sftp.write("in/b.csv", b"b").await.unwrap();
    let names: Vec<(String, u64)> = sftp.list("in").await.unwrap().into_iter().map(|entry| (entry.name, entry.size)).collect();
    assert_eq!(names, [("a.csv".to_owned(), 300_000), ("b.csv".to_owned(), 1)]);
    assert_eq!(sftp.read("in/a.csv", 1 << 20).await.unwrap(), large);
    assert!(matches!(sftp.read("in/a.csv", 1_000).await, Err(SftpFault::TooLarge { .. })));
    assert!(matches!(sftp.rename("in/b.csv", "in/a.csv").await, Err(SftpFault::Failed { .. })), "a name that is taken");
    assert!(matches!(sftp.read("in/none", 10).await, Err(SftpFault::Missing { .. })));
    assert!(matches!(sftp.list("nowhere").await, Err(SftpFault::Missing { .. })));
    assert!(matches!(sftp.read("../etc/passwd", 10).await, Err(SftpFault::Denied { .. })));
    assert!(sftp.exists("in").await.unwrap() && !sftp.exists("in/none").await.unwrap());
    // A file shrinks when it is written anew.
    sftp.write("in/a.csv", b"short").await.unwrap();
    assert_eq!(sftp.read("in/a.csv", 10).await.unwrap(), b"short");
    sftp.make_folder("archive").await.unwrap();
    sftp.make_folder("archive").await.unwrap();
    assert!(sftp.list("archive").await.unwrap().is_empty());
}

#[tokio::test]
async fn folders_of_many_files_are_listed_whole() {
    let (folder, served) = served(|_| Fate::Do).await;
    for at in 0..250 {
        std::fs::write(folder.path().join(format!("in/{at:04}")), "x").unwrap();
    }
    let entries = Sftp::new(remote(&served)).list("in").await.unwrap();
    assert_eq!(entries.len(), 250);
    assert!(entries.is_sorted_by(|a, b| a.name < b.name));
    assert!(entries[0].modified > 1_600_000_000);
}

#[tokio::test]
async fn another_host_key_or_password_is_refused() {
    let (_folder, served) = served(|_| Fate::Do).await;
    let other = Remote { host_key: "SHA256:somebodyelse".to_owned(), ..remote(&served) };
    let refused = Sftp::new(other).list("in").await;
    assert!(matches!(&refused, Err(SftpFault::HostKey { seen, .. }) if *seen == served.host_key), "{refused:?}");
    let wrong = Remote { login: Login::Password("guess".to_owned().into()), ..remote(&served) };
    assert!(matches!(Sftp::new(wrong).list("in").await, Err(SftpFault::Login { .. })));
    let nonsense = Remote { login: Login::Key("no key".to_owned().into()), ..remote(&served) };
    assert!(matches!(Sftp::new(nonsense).list("in").await, Err(SftpFault::Login { .. })));
    let elsewhere = Remote { permits: |ip| !ip.is_loopback(), ..remote(&served) };
    let refused = Sftp::new(elsewhere).list("in").await;
    assert!(matches!(&refused, Err(SftpFault::Unreached { why, .. }) if why.contains("allow_private = true")), "{refused:?}");
    let nobody = Remote { port: 1, ..remote(&served) };
    assert!(matches!(Sftp::new(nobody).list("in").await, Err(SftpFault::Unreached { .. })));
}

#[tokio::test]
async fn an_answer_that_is_lost_is_told_and_the_connection_comes_back() {
    let fates = Arc::new(Mutex::new(vec![Fate::BreakAfter, Fate::BreakBefore, Fate::Deny, Fate::Fail]));
    let left = Arc::clone(&fates);
    let (folder, served) = served(move |operation| match operation {
        Operation::Rename(..) => left.lock().unwrap().pop().unwrap_or(Fate::Do),
        _ => Fate::Do,
    })
    .await;
    let sftp = Sftp::new(remote(&served));
    sftp.write("in/a", b"a").await.unwrap();
    assert!(matches!(sftp.rename("in/a", "in/b").await, Err(SftpFault::Failed { .. })));
    assert!(matches!(sftp.rename("in/a", "in/b").await, Err(SftpFault::Denied { .. })));
    assert!(matches!(sftp.rename("in/a", "in/b").await, Err(SftpFault::Lost { .. })));
    assert!(sftp.exists("in/a").await.unwrap(), "the connection broke before");
    assert!(matches!(sftp.rename("in/a", "in/b").await, Err(SftpFault::Lost { .. })));
    assert!(sftp.exists("in/b").await.unwrap() && !folder.path().join("in/a").exists(), "the connection broke after");
}

#[tokio::test]
async fn several_operations_go_at_once() {
    let (_folder, served) = served(|_| Fate::Do).await;
    let sftp = Arc::new(Sftp::new(remote(&served)));
    let writers: Vec<_> = (0..20)
        .map(|at| {
            let sftp = Arc::clone(&sftp);
            tokio::spawn(async move { sftp.write(&format!("in/{at:02}"), format!("{at}").as_bytes()).await })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap().unwrap();
    }
    assert_eq!(sftp.list("in").await.unwrap().len(), 20);
    assert_eq!(sftp.read("in/07", 10).await.unwrap(), b"7");
    assert_eq!(sftp.under_way(), 0);
}

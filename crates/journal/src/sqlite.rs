//! The store in a SQLite file, `journal.db` in the folder of a task. It never opens the database or its shared memory
//! by itself while SQLite has them open: closing such a descriptor would drop SQLite's locks.
//!
//! WAL with `synchronous=NORMAL`: a commit is one write into the page cache, which no death of a process can lose, and
//! no wait for the disk; that is [`SyncHandle`](crate::SyncHandle)'s business.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, config::DbConfig, types::ValueRef};

use crate::{
    Error, Hash, Place, Record, Result, Source, Store,
    chain::{VERSION, check_header, genesis},
    wal,
};

const DATABASE: &str = "journal.db";
const DATABASE_NEW: &str = "journal.db.new";

/// How long to wait while another process recovers the write-ahead log of a killed writer.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// Pages of write-ahead log after which a commit folds it into the database: 4 MiB, which bounds what the next start
/// after a kill must read through, and costs a commit in a thousand one wait for the disk.
const CHECKPOINT_PAGES: u32 = 1000;

const SCHEMA: &str = "
    CREATE TABLE meta(task TEXT NOT NULL, genesis BLOB NOT NULL, v INTEGER NOT NULL) STRICT;
    CREATE TABLE record(
        seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, kind TEXT NOT NULL, payload BLOB NOT NULL, salt BLOB NOT NULL,
        digest BLOB NOT NULL, prev BLOB NOT NULL, hash BLOB NOT NULL
    ) STRICT;";
const META: &str = "SELECT task, genesis, v FROM meta";
const READ: &str =
    "SELECT seq, time, kind, payload, salt, digest, prev, hash FROM record WHERE seq >= ?1 ORDER BY seq LIMIT ?2";
const LAST: &str = "SELECT seq, time, kind, payload, salt, digest, prev, hash FROM record ORDER BY seq DESC LIMIT 1";
const INSERT: &str =
    "INSERT INTO record(seq, time, kind, payload, salt, digest, prev, hash) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

/// The rows of a journal in a SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    connection: Connection,
    database: PathBuf,
    task: String,
    /// The next sequence number, where this handle may write.
    next: u64,
}

impl SqliteStore {
    /// Makes the file of a new journal. It appears whole or not at all.
    pub fn create(folder: &Path, task: &str) -> Result<Self> {
        let attempt = || format!("create journal {}", folder.display());
        let database = folder.join(DATABASE);
        if database.exists() {
            return Err(Error::Exists { folder: folder.to_owned() });
        }
        let new = folder.join(DATABASE_NEW);
        for leftover in ["", "-wal", "-shm", "-journal"] {
            match fs::remove_file(folder.join(format!("{DATABASE_NEW}{leftover}"))) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Error::io(attempt(), error)),
                Ok(()) | Err(_) => {}
            }
        }
        // SQLite gives its side files the mode of the database: what a task did is its person's own business.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new);
        drop(file.map_err(|error| Error::io(attempt(), error))?);
        write_schema(&new, task).map_err(|error| database_error(attempt(), Place::File, error))?;
        let synced = File::open(&new).and_then(|file| file.sync_data()).and_then(|()| fs::rename(&new, &database));
        synced.map_err(|error| Error::io(attempt(), error))?;
        let mut store = Self::connect(folder, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        store.permit_writing()?;
        Ok(store)
    }

    /// Opens a journal to be read, by any process, whether it is being written or not.
    pub fn open_to_read(folder: &Path) -> Result<Self> {
        Self::connect(folder, OpenFlags::SQLITE_OPEN_READ_ONLY)
    }

    /// Opens a journal to be written, without changing anything before [`Self::permit_writing`].
    pub(crate) fn open_to_check(folder: &Path) -> Result<Self> {
        Self::connect(folder, OpenFlags::SQLITE_OPEN_READ_WRITE)
    }

    /// From now on rows may be appended, and closing folds the write-ahead log into the database.
    pub(crate) fn permit_writing(&mut self) -> Result<()> {
        self.next = self.last()?.map_or(1, |record| record.seq + 1);
        let prepared = self
            .connection
            .pragma_update(None, "synchronous", "NORMAL")
            .and_then(|()| self.connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES))
            // A page that spills into the log before its commit may be written there twice, and a kill in between would
            // leave a log that looks altered.
            .and_then(|()| self.connection.pragma_update(None, "cache_spill", false))
            .and_then(|()| self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false));
        prepared.map(|_| ()).map_err(|error| database_error(self.attempt("open"), Place::File, error))
    }

    /// Whether the write-ahead log holds committed rows that can no longer be read.
    pub(crate) fn log_is_damaged(&self) -> Result<bool> {
        wal::is_damaged(&log_of(&self.database))
    }

    /// Keeps what a damaged log still holds, before appending goes over it.
    pub(crate) fn keep_log(&self, after_seq: u64) -> Result<PathBuf> {
        let copy = self.database.with_file_name(format!("journal-torn-after-{after_seq}.wal"));
        let copied = fs::copy(log_of(&self.database), &copy);
        copied.map_err(|error| Error::io(format!("copy the torn log to {}", copy.display()), error))?;
        Ok(copy)
    }

    /// Asks SQLite whether the file's own structure holds.
    pub(crate) fn check_structure(&mut self) -> Result<()> {
        let said: String = self
            .connection
            .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
            .map_err(|error| database_error(self.attempt("check"), Place::File, error))?;
        if said == "ok" { Ok(()) } else { Err(Error::corrupt(Place::File, said.replace('\n', " "))) }
    }

    fn connect(folder: &Path, mode: OpenFlags) -> Result<Self> {
        let database = folder.join(DATABASE);
        if !database.exists() {
            return Err(Error::NotFound { folder: folder.to_owned() });
        }
        let failed = |error| database_error(format!("open journal {}", folder.display()), Place::File, error);
        let connection =
            Connection::open_with_flags(&database, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(failed)?;
        connection.busy_timeout(BUSY_WAIT).map_err(failed)?;
        // Whoever only looks changes nothing, also when he is the last to leave.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(failed)?;
        // The file may come from elsewhere: nothing that someone hid in its schema runs here.
        for code_of_the_file in [
            DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER,
            DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW,
            DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA,
        ] {
            connection.set_db_config(code_of_the_file, false).map_err(failed)?;
        }
        let meta = connection
            .query_row(META, [], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Hash>(1)?, row.get::<_, i64>(2)?)))
            .optional()
            .map_err(failed)?;
        let Some((task, said, version)) = meta else {
            return Err(Error::corrupt(Place::Header, "nothing says which task this is the journal of"));
        };
        match u64::try_from(version) {
            Ok(VERSION) => {}
            Ok(format) if format > VERSION => {
                return Err(Error::Newer { folder: folder.to_owned(), format, known: VERSION });
            }
            Ok(_) | Err(_) => return Err(Error::corrupt(Place::Header, format!("there is no format {version}"))),
        }
        check_header(&task, &said)?;
        Ok(Self { connection, database, task, next: 0 })
    }

    fn attempt(&self, verb: &str) -> String {
        format!("{verb} journal {}", self.database.display())
    }

    fn insert_all(&mut self, records: &[Record]) -> rusqlite::Result<()> {
        if let [record] = records {
            return insert(&self.connection, record);
        }
        let transaction = self.connection.transaction()?;
        records.iter().try_for_each(|record| insert(&transaction, record))?;
        transaction.commit()
    }
}

impl Source for SqliteStore {
    fn task(&self) -> &str {
        &self.task
    }

    fn read(&mut self, from_seq: u64, limit: usize, each: &mut dyn FnMut(Record) -> Result<()>) -> Result<()> {
        let mut expected = from_seq;
        let failed =
            |seq, error| database_error(format!("read journal {}", self.database.display()), Place::Record(seq), error);
        let mut statement = self.connection.prepare_cached(READ).map_err(|error| failed(expected, error))?;
        let range = (i64::try_from(from_seq).unwrap_or(i64::MAX), i64::try_from(limit).unwrap_or(i64::MAX));
        let mut rows = statement.query(range).map_err(|error| failed(expected, error))?;
        while let Some(row) = rows.next().map_err(|error| failed(expected, error))? {
            let record = decode(row)
                .ok_or_else(|| Error::corrupt(Place::Record(expected), "its row does not have the form of a record"))?;
            each(record)?;
            expected += 1;
        }
        Ok(())
    }

    fn last(&mut self) -> Result<Option<Record>> {
        let failed = |error| database_error(format!("read journal {}", self.database.display()), Place::File, error);
        let mut statement = self.connection.prepare_cached(LAST).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        let Some(row) = rows.next().map_err(failed)? else { return Ok(None) };
        let record = decode(row);
        record.map(Some).ok_or_else(|| Error::corrupt(Place::File, "the last row does not have the form of a record"))
    }

    fn version(&mut self) -> Result<u64> {
        let failed = |error| database_error(format!("read journal {}", self.database.display()), Place::File, error);
        let mut statement = self.connection.prepare_cached("PRAGMA data_version").map_err(failed)?;
        statement.query_row([], |row| row.get::<_, i64>(0)).map(i64::cast_unsigned).map_err(failed)
    }
}

impl Store for SqliteStore {
    fn append(&mut self, records: &[Record]) -> Result<()> {
        for (next, record) in (self.next..).zip(records) {
            if record.seq != next {
                return Err(Error::OutOfOrder { seq: record.seq, next });
            }
        }
        self.insert_all(records).map_err(|error| database_error(self.attempt("append to"), Place::File, error))?;
        self.next += records.len() as u64;
        Ok(())
    }

    fn source(&self) -> Result<Box<dyn Source>> {
        let folder = self.database.parent().unwrap_or(Path::new("."));
        Ok(Box::new(Self::open_to_read(folder)?))
    }

    fn durable_file(&self) -> Option<PathBuf> {
        Some(log_of(&self.database))
    }
}

fn log_of(database: &Path) -> PathBuf {
    let mut name = database.to_owned().into_os_string();
    name.push("-wal");
    name.into()
}

fn write_schema(database: &Path, task: &str) -> rusqlite::Result<()> {
    let mut connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // The file is synced as a whole before it gets its name, so nothing has to reach the disk in between.
    connection.pragma_update(None, "synchronous", "OFF")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    let version = i64::try_from(VERSION).unwrap_or(i64::MAX);
    transaction.execute("INSERT INTO meta(task, genesis, v) VALUES(?1, ?2, ?3)", (task, genesis(task), version))?;
    transaction.commit()?;
    connection.close().map_err(|(_, error)| error)
}

fn insert(connection: &Connection, record: &Record) -> rusqlite::Result<()> {
    connection
        .prepare_cached(INSERT)?
        .execute(rusqlite::params![
            record.seq.cast_signed(),
            record.time_ms.cast_signed(),
            record.kind,
            record.payload,
            record.salt,
            record.payload_digest,
            record.prev,
            record.hash,
        ])
        .map(|_| ())
}

fn decode(row: &rusqlite::Row<'_>) -> Option<Record> {
    let integer = |column| match row.get_ref(column) {
        Ok(ValueRef::Integer(value)) => u64::try_from(value).ok(),
        _ => None,
    };
    let blob = |column| match row.get_ref(column) {
        Ok(ValueRef::Blob(bytes)) => Some(bytes),
        _ => None,
    };
    let kind = match row.get_ref(2) {
        Ok(ValueRef::Text(bytes)) => std::str::from_utf8(bytes).ok()?,
        _ => return None,
    };
    Some(Record {
        seq: integer(0)?,
        time_ms: integer(1)?,
        kind: kind.to_owned(),
        payload: blob(3)?.to_vec(),
        salt: blob(4)?.try_into().ok()?,
        payload_digest: blob(5)?.try_into().ok()?,
        prev: blob(6)?.try_into().ok()?,
        hash: blob(7)?.try_into().ok()?,
    })
}

/// What SQLite's word means for whoever holds a journal. `place` is what was being read if the file proves damaged.
fn database_error(attempt: String, place: Place, error: rusqlite::Error) -> Error {
    let damaged = |place: Place, what: &str| Error::corrupt(place, what);
    // The memory that readers share is a file too, and SQLite has no word of its own for want of room there.
    if error.sqlite_error().is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE) {
        return Error::NoSpace { attempt };
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Error::NoSpace { attempt },
        Some(ErrorCode::DatabaseCorrupt) => damaged(place, "the database page that holds it is damaged"),
        Some(ErrorCode::NotADatabase) => damaged(Place::File, "it is not a database"),
        // Our statements are fixed: what SQLite does not understand in them is a schema that is not ours.
        Some(ErrorCode::Unknown) => damaged(Place::File, "its tables are not those of a journal"),
        None => damaged(place, "a value does not have the form it was written with"),
        Some(_) => Error::Database { attempt, source: error },
    }
}

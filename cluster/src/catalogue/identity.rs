//! Who this node is: a uuid, kept in a file of the data directory from the first start on. What a
//! crash leaves half written is written anew. All functions block. Makes up no uuid itself, and
//! never replaces one that is there.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use crate::Error;

/// Name of the file.
const FILE: &str = "node.uuid";

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// 32 hexadecimal digits.
    pub(crate) uuid: String,
}

impl Identity {
    /// Reads who the node is, or decides and keeps it.
    pub(crate) fn load(data: &Path, new_id: &dyn Fn() -> String) -> Result<Identity, Error> {
        let storage =
            |error: io::Error| Error::Storage(format!("{}: {error}", data.join(FILE).display()));
        match fs::read_to_string(data.join(FILE)) {
            Ok(text) => {
                let uuid = text.trim();
                let good = uuid.len() == 32 && uuid.bytes().all(|byte| byte.is_ascii_hexdigit());
                if good {
                    return Ok(Identity { uuid: uuid.to_owned() });
                }
                Err(storage(io::Error::other("it does not hold a uuid")))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let uuid = new_id();
                keep(data, &uuid).map_err(storage)?;
                Ok(Identity { uuid })
            }
            Err(error) => Err(storage(error)),
        }
    }
}

fn keep(data: &Path, uuid: &str) -> io::Result<()> {
    fs::create_dir_all(data)?;
    let draft = data.join(format!("{FILE}.new"));
    let mut file = File::create(&draft)?;
    writeln!(file, "{uuid}")?;
    file.sync_all()?;
    fs::rename(&draft, data.join(FILE))?;
    File::open(data)?.sync_all()
}

//! The files of the `data` folder are those that its README describes.

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

#[test]
fn every_file_has_its_checksum_in_the_readme() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let cell = |cell: &str| cell.trim().trim_matches('`').to_owned();
    let described: BTreeMap<String, String> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"))
        .map(|row| (cell(row.split('|').next().unwrap()), cell(row.split('|').next_back().unwrap())))
        .collect();
    let hash = |bytes: Vec<u8>| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let found: BTreeMap<String, String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|file| file != "README.md")
        .map(|file| (file.clone(), hash(std::fs::read(folder.join(file)).unwrap())))
        .collect();
    assert_eq!(described, found);
}

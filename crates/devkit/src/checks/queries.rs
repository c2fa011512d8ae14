//! The stored shapes of the checked queries, made anew from a fresh database and compared.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::Path,
    process::Command,
    time::SystemTime,
};

use store::Store;

use super::{CheckError, demand};
use crate::{console::say, file_error::FileError, layout::Layout, testing::TestPostgres, tools};

const DATABASE: &str = "codex_k8s_queries";

type Shapes = BTreeMap<String, Vec<u8>>;

pub(super) async fn queries(layout: &Layout, fix: bool) -> Result<(), CheckError> {
    let tools = tools::platform_tools(&layout.cache)?;
    let postgres = TestPostgres::start(layout, &tools).await?;
    let fresh = tempfile::tempdir().map_err(FileError::of("create", std::env::temp_dir()))?;
    let made = make(layout, &postgres, fresh.path()).await;
    postgres.stop().await;
    made?;
    let stored = layout.tree.join(".sqlx");
    if fix {
        return replace(&stored, &read(fresh.path())?);
    }
    let differing = differences(&read(&stored)?, &read(fresh.path())?);
    for line in &differing {
        say(format_args!("    {line}"));
    }
    if differing.is_empty() {
        return Ok(());
    }
    Err(CheckError::Bad { remedy: "make them anew with `cargo dev check queries --fix`" })
}

/// Builds the store against a database that holds the schema, which writes the shapes.
async fn make(layout: &Layout, postgres: &TestPostgres, fresh: &Path) -> Result<(), CheckError> {
    let url = postgres.make_database(DATABASE).await?;
    let store = Store::connect(&url, 1).await?;
    store::migrate(store.pool()).await?;
    store.pool().close().await;
    // Cargo would find everything built already: it does not know that queries look at a database.
    let source = layout.tree.join("crates/store/src/lib.rs");
    File::options()
        .append(true)
        .open(&source)
        .and_then(|file| file.set_modified(SystemTime::now()))
        .map_err(FileError::of("touch", &source))?;
    demand(
        layout,
        Command::new("cargo")
            .args(["check", "--quiet", "--package", "store", "--all-targets"])
            .env("DATABASE_URL", &url)
            .env("SQLX_OFFLINE", "false")
            .env("SQLX_OFFLINE_DIR", fresh),
        "a query does not fit the schema",
    )
}

fn read(folder: &Path) -> Result<Shapes, CheckError> {
    let mut shapes = Shapes::new();
    if !folder.exists() {
        return Ok(shapes);
    }
    for entry in fs::read_dir(folder).map_err(FileError::of("read", folder))? {
        let path = entry.map_err(FileError::of("read", folder))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if name.starts_with("query-") {
            let content = fs::read(&path).map_err(FileError::of("read", &path))?;
            shapes.insert(name.to_owned(), content);
        }
    }
    Ok(shapes)
}

fn differences(stored: &Shapes, fresh: &Shapes) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, content) in fresh {
        match stored.get(name) {
            None => lines.push(format!("{name} is missing")),
            Some(old) if old != content => lines.push(format!("{name} is stale")),
            Some(_) => {}
        }
    }
    lines.extend(stored.keys().filter(|name| !fresh.contains_key(*name)).map(|name| format!("{name} is not used")));
    lines
}

fn replace(folder: &Path, fresh: &Shapes) -> Result<(), CheckError> {
    for name in read(folder)?.keys().filter(|name| !fresh.contains_key(*name)) {
        let path = folder.join(name);
        fs::remove_file(&path).map_err(FileError::of("remove", &path))?;
    }
    fs::create_dir_all(folder).map_err(FileError::of("create", folder))?;
    for (name, content) in fresh {
        let path = folder.join(name);
        fs::write(&path, content).map_err(FileError::of("write", &path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shapes(list: &[(&str, &str)]) -> Shapes {
        list.iter().map(|(name, content)| ((*name).to_owned(), content.as_bytes().to_vec())).collect()
    }

    #[test]
    fn every_kind_of_difference_is_told() {
        let stored = shapes(&[("query-1.json", "a"), ("query-2.json", "b"), ("query-3.json", "c")]);
        let fresh = shapes(&[("query-1.json", "a"), ("query-2.json", "changed"), ("query-4.json", "d")]);
        assert_eq!(
            differences(&stored, &fresh),
            ["query-2.json is stale", "query-4.json is missing", "query-3.json is not used"]
        );
        assert!(differences(&stored, &stored).is_empty());
    }

    #[test]
    fn replacing_leaves_only_what_is_fresh() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("query-old.json"), "x").unwrap();
        let fresh = shapes(&[("query-new.json", "y")]);
        replace(folder.path(), &fresh).unwrap();
        assert_eq!(read(folder.path()).unwrap(), fresh);
    }
}

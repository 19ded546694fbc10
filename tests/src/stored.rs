//! What lies in a store of a real service.

use futures_lite::StreamExt;
use object_store::{ObjectStore, ObjectStoreExt, path::Path as Key};
use std::{fs, path::Path};

/// Copies all that lies in a store into a folder, but for what a killed writer left; the keys.
///
/// # Panics
/// When something cannot be read or written.
pub fn download(store: &dyn ObjectStore, folder: &Path) -> Vec<String> {
    block_on(async {
        let mut keys = Vec::new();
        let mut listed = store.list(None);
        while let Some(object) = listed.next().await {
            let key = object.expect("the store lists").location;
            if key.as_ref().starts_with("_tmp/") {
                continue;
            }
            let bytes = store.get(&key).await.expect("it is there").bytes().await;
            let path = folder.join(key.as_ref());
            fs::create_dir_all(path.parent().expect("a folder")).expect("room");
            fs::write(path, bytes.expect("all of it")).expect("room");
            keys.push(key.as_ref().to_owned());
        }
        keys
    })
}

/// Writes an object over whatever is there.
///
/// # Panics
/// When it cannot be written.
pub fn put(store: &dyn ObjectStore, key: &str, bytes: Vec<u8>) {
    let put = block_on(async { store.put(&Key::from(key), bytes.into()).await });
    put.expect("the store takes it");
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

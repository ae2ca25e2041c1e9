//! What nearly every cell would compile anew: the functions by which evcxr keeps variables between cells. A cell links to them, as a
//! crate without optimisation does to a generic function that a crate below it has compiled for the same types.

use std::any::Any;
use std::collections::HashMap;

type Store = HashMap<String, Box<dyn Any>>;

fn keep<T: 'static>(store: &mut Store, name: &str, value: T) -> Option<T> {
    store.insert(name.to_owned(), Box::new(value));
    store.get(name)?.downcast_ref::<T>()?;
    store.remove(name)?.downcast().ok().map(|value| *value)
}

/// Is never called.
pub fn keep_all(store: &mut Store, name: &str) {
    store.extend(Store::new().drain());
    keep(store, name, 0.0);
    keep(store, name, 0_u64);
    keep(store, name, 0_usize);
    keep(store, name, String::new());
    keep(store, name, Vec::<f64>::new());
}

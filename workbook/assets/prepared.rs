//! What nearly every cell would compile anew: the functions by which evcxr keeps variables between cells, and what copies and drops the
//! types of most variables and the library's errors. A cell links to them, as a crate without optimisation does to a generic function
//! that a crate below it has compiled for the same types.

use generative_models::prelude::*;
use std::any::Any;
use std::collections::HashMap;

type Store = HashMap<String, Box<dyn Any>>;

fn keep<T: Clone + 'static>(store: &mut Store, name: &str, value: &T) -> Option<T> {
    store.insert(name.to_owned(), Box::new(value.clone()));
    store.get(name)?.downcast_ref::<T>()?;
    store.remove(name)?.downcast().ok().map(|value| *value)
}

/// Is never called.
pub fn keep_all(store: &mut Store, name: &str) -> Result<()> {
    store.extend(Store::new().drain());
    keep(store, name, &0.0);
    keep(store, name, &0_u64);
    keep(store, name, &0_usize);
    keep(store, name, &name.to_owned());
    let frame = data::iris()?;
    keep(store, name, &frame);
    let rows = data::matrix(&frame, &[name])?;
    keep(store, name, &rows);
    let normal = Gaussian::fit(&rows)?;
    keep(store, name, &normal);
    keep(store, name, normal.mean());
    keep(store, name, &normal.mean().as_slice().to_vec());
    let figure = Figure::new(name).line(&frame, name, name);
    keep(store, name, &figure);
    Ok(())
}

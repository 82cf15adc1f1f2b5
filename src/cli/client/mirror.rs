//! What there is at some places, as of now: read once, and kept so by watches.

use std::collections::HashMap;
use std::pin::Pin;

use futures::stream::{Stream, StreamExt};
use futures::{FutureExt, future};

use super::watch::Told;
use super::{Client, ClientError, Object};

/// A path at which objects are listed and watched, and which of them are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) path: String,
    pub(crate) selectors: Vec<(&'static str, String)>,
}

type Lines = Pin<Box<dyn Stream<Item = Result<Told, ClientError>> + Send>>;

/// Namespace and name.
type Key = (String, String);

/// See the [module](self).
pub(crate) struct Mirror {
    client: Client,
    places: Vec<Mirrored>,
}

struct Mirrored {
    place: Place,
    /// None while nothing is watched: at the beginning, and after a watch ended.
    lines: Option<Lines>,
    objects: HashMap<Key, Object>,
}

impl Mirror {
    /// Of these places; empty before it is [filled](Self::fill).
    pub(crate) fn new(client: &Client, places: impl IntoIterator<Item = Place>) -> Self {
        let mirrored = |place| Mirrored { place, lines: None, objects: HashMap::new() };
        Self { client: client.clone(), places: places.into_iter().map(mirrored).collect() }
    }

    /// Reads what is not watched, so that everything is as it is now.
    ///
    /// # Errors
    /// The server could not be asked, or refused.
    pub(crate) async fn fill(&mut self) -> Result<(), ClientError> {
        for mirrored in self.places.iter_mut().filter(|mirrored| mirrored.lines.is_none()) {
            let Place { path, selectors } = &mirrored.place;
            let mut lines: Lines = Box::pin(self.client.watch(path, selectors).await?);
            let mut objects = HashMap::new();
            loop {
                match lines.next().await.transpose()? {
                    Some(Told::All) => break,
                    Some(told) => apply(&mut objects, told),
                    None => return Err(ClientError::Broken("the watch ended at its beginning".into())),
                }
            }
            (mirrored.lines, mirrored.objects) = (Some(lines), objects);
        }
        Ok(())
    }

    /// Waits for a change, and takes it in with all that came along. A watch that ended, or broke, is
    /// one too: then there is something to [fill](Self::fill). Nothing is lost if it is dropped.
    pub(crate) async fn changed(&mut self) {
        {
            let watched = self.places.iter_mut().filter(|mirrored| mirrored.lines.is_some());
            let nexts: Vec<_> = watched.map(|mirrored| mirrored.next().boxed()).collect();
            if !nexts.is_empty() {
                future::select_all(nexts).await;
            }
        }
        for mirrored in &mut self.places {
            while mirrored.lines.is_some() && mirrored.next().now_or_never().is_some() {}
        }
    }

    /// The object of this namespace (empty for what has none) and name.
    pub(crate) fn get(&self, path: &str, namespace: &str, name: &str) -> Option<&Object> {
        let key = (namespace.to_owned(), name.to_owned());
        let at_path = self.places.iter().filter(|mirrored| mirrored.place.path == path);
        at_path.filter_map(|mirrored| mirrored.objects.get(&key)).next()
    }

    /// All objects at a path, in no order.
    pub(crate) fn all(&self, path: &str) -> impl Iterator<Item = &Object> {
        let at_path = self.places.iter().filter(move |mirrored| mirrored.place.path == path);
        at_path.flat_map(|mirrored| mirrored.objects.values())
    }
}

impl Mirrored {
    async fn next(&mut self) {
        let Some(lines) = &mut self.lines else { return };
        match lines.next().await {
            Some(Ok(told)) => apply(&mut self.objects, told),
            // Whatever it was, the next filling meets it again if it lasts.
            Some(Err(_)) | None => self.lines = None,
        }
    }
}

fn apply(objects: &mut HashMap<Key, Object>, told: Told) {
    let key = |object: &Object| (object.namespace().unwrap_or_default().to_owned(), object.name().to_owned());
    match told {
        Told::Is(object) => drop(objects.insert(key(&object), object)),
        Told::Gone(object) => drop(objects.remove(&key(&object))),
        Told::All => {}
    }
}

//! [`open`]: an image, from a reference to the blobs of its layers.
//!
//! ```text
//! reference → store → list of images → (index → platform)… → manifest → configuration, layers
//! ```

use std::path::Path;

use serde::Deserialize;

use super::archive::{Archive, may_be_archive};
use super::document::{Config, Descriptor, Document, Index, Manifest};
use super::platform::{Platform, select};
use super::reference::{ImageName, ImageReference, RegistryReference};
use super::store::{LAYOUT_FILE, Store, read_document};
use crate::blob::Blob;
use crate::digest::{DiffId, Digest};
use crate::error::{ImageError, Result};
use crate::hub::Progress;

/// How deep indexes may lie in one another.
const MAX_DEPTH: usize = 4;
/// The most layers of an image: Windows takes far fewer.
const MAX_LAYERS: usize = 1024;
/// What an archive with a `manifest.json` is called in messages.
const DOCKER_ARCHIVE: &str = "a docker archive";
/// The list of images in a docker archive.
const DOCKER_MANIFEST: &str = "manifest.json";
/// The annotations that name an image in a layout, the exact one first.
const NAMES: [&str; 2] = [
    "org.opencontainers.image.ref.name",
    "io.containerd.image.name",
];

/// Which image is wanted, where there are several.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct OpenImage {
    /// The platform; Windows on this machine's processor when there is none.
    pub platform: Option<Platform>,
    /// The build of this machine's Windows, such as `10.0.20348.2227`.
    pub host_build: Option<String>,
}

/// An image, opened.
#[derive(Debug)]
#[non_exhaustive]
pub struct Image {
    /// How it is named in messages.
    pub label: String,
    /// The digest of its manifest; a docker archive has none.
    pub manifest_digest: Option<Digest>,
    /// Its configuration.
    pub config: Config,
    /// The digest of the configuration, by which docker names the image.
    pub config_digest: Digest,
    /// Its layers, the lowest first.
    pub layers: Vec<ImageLayer>,
    /// The other images that would have fitted, when it was chosen by its platform.
    pub other_platforms: Vec<Platform>,
}

/// A layer of an image.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ImageLayer {
    /// Its media type; empty where the image does not say.
    pub media_type: String,
    /// The digest of the blob; a docker archive has none.
    pub digest: Option<Digest>,
    /// The size of the blob in bytes.
    pub size: u64,
    /// The digest of the uncompressed tar.
    pub diff_id: DiffId,
    /// The instruction that made it.
    pub created_by: Option<String>,
    /// Where else it can be fetched: foreign layers.
    pub urls: Vec<String>,
    blob: Option<Blob>,
    label: String,
}

impl ImageLayer {
    /// Returns the blob.
    ///
    /// # Errors
    ///
    /// Returns [`ImageError::Foreign`] if the layer is not in the image.
    pub fn blob(&self) -> Result<&Blob, ImageError> {
        self.blob.as_ref().ok_or_else(|| ImageError::Foreign {
            label: self.label.clone(),
            digest: self.digest.unwrap_or(Digest::of(b"")),
            urls: self.urls.clone(),
        })
    }
}

/// Opens the image that a reference names. Of the layers, only the sizes are checked.
///
/// # Errors
///
/// Returns an [`ImageError`] if there is no such image, or it is not well formed; other errors if
/// it cannot be read, or [`Error::Cancelled`](crate::Error::Cancelled).
pub fn open(
    reference: &ImageReference,
    wanted: &OpenImage,
    progress: &dyn Progress,
) -> Result<Image> {
    let label = reference.to_string();
    let (store, name) = match reference {
        ImageReference::Layout { folder, name } => (Store::Folder(folder.clone()), name),
        ImageReference::OciArchive { file, name } => {
            (Store::Archive(Archive::open(file, progress)?), name)
        }
        ImageReference::DockerArchive { file, name } => {
            let archive = Archive::open(file, progress)?;
            return of_docker_archive(Store::Archive(archive), name.as_ref(), wanted, label);
        }
        ImageReference::Registry(_) => {
            return Err(ImageError::NoRegistry { label }.into());
        }
    };
    Opening {
        store: &store,
        wanted,
        label,
        other_platforms: Vec::new(),
    }
    .of_layout(name.as_ref())
}

/// Recognises the images that a path of the host holds: an OCI layout, or an archive of either
/// kind; `None` for anything else. The first members of a layer tar show that it is one.
///
/// # Errors
///
/// Returns an error if the path cannot be read.
pub fn recognise(path: &Path, progress: &dyn Progress) -> Result<Option<ImageReference>> {
    if path.is_dir() {
        let is_layout = path.join(LAYOUT_FILE).is_file() && path.join("index.json").is_file();
        let folder = path.to_owned();
        return Ok(is_layout.then_some(ImageReference::Layout { folder, name: None }));
    }
    if !may_be_archive(path)? {
        return Ok(None);
    }
    let Ok(archive) = Archive::open(path, progress) else {
        return Ok(None);
    };
    let file = path.to_owned();
    Ok(if archive.has(LAYOUT_FILE) && archive.has("index.json") {
        Some(ImageReference::OciArchive { file, name: None })
    } else if archive.has(DOCKER_MANIFEST) {
        Some(ImageReference::DockerArchive { file, name: None })
    } else {
        None
    })
}

/// An image of a layout that is being opened.
struct Opening<'a> {
    store: &'a Store,
    wanted: &'a OpenImage,
    label: String,
    other_platforms: Vec<Platform>,
}

impl Opening<'_> {
    fn of_layout(mut self, name: Option<&ImageName>) -> Result<Image> {
        let index = self.store.layout_index()?;
        let top = self.named(&index, name)?;
        let (digest, manifest) = self.manifest(top.clone(), 0)?;
        let bytes = self.store.document(&manifest.config)?;
        let label = format!("the configuration of `{}`", self.label);
        let config = Config::parse(&bytes, &label)?;
        self.check_platform(&config)?;
        let layers = self.layers(&manifest, &config)?;
        Ok(Image {
            label: self.label,
            manifest_digest: Some(digest),
            config,
            config_digest: manifest.config.digest,
            layers,
            other_platforms: self.other_platforms,
        })
    }

    /// Finds the image with a name, or the only one.
    fn named<'i>(&mut self, index: &'i Index, name: Option<&ImageName>) -> Result<&'i Descriptor> {
        let images = &index.manifests;
        let found: Vec<&Descriptor> = match name {
            Some(ImageName::Place(place)) => images.iter().skip(*place).take(1).collect(),
            Some(ImageName::Name(name)) => {
                let is_named = |image: &&Descriptor| {
                    let names = NAMES.iter().filter_map(|key| image.annotations.get(*key));
                    names.into_iter().any(|own| is_same_name(own, name))
                };
                images.iter().filter(is_named).collect()
            }
            None => images.iter().collect(),
        };
        let names = || images.iter().enumerate().map(name_of).collect();
        match (&found[..], name) {
            ([one], _) => Ok(one),
            ([], Some(name)) => Err(ImageError::NoSuchImage {
                label: self.store.label(),
                name: name.to_string(),
                names: names(),
            }
            .into()),
            ([], None) => Err(ImageError::NoImages {
                label: self.store.label(),
            }
            .into()),
            // One image for several platforms, without an index of its own.
            _ => match self.selected(&found) {
                Some(one) => Ok(one),
                None => Err(ImageError::SeveralImages {
                    label: self.store.label(),
                    names: names(),
                }
                .into()),
            },
        }
    }

    fn selected<'i>(&mut self, found: &[&'i Descriptor]) -> Option<&'i Descriptor> {
        let has_platform = |image: &&Descriptor| image.platform.is_some();
        if !found.iter().all(has_platform) {
            return None;
        }
        let offered: Vec<Descriptor> = found.iter().map(|image| (*image).clone()).collect();
        let (best, others) = self.select(&offered)?;
        let platform = |at: &usize| offered[*at].platform.clone();
        self.other_platforms = others.iter().filter_map(platform).collect();
        Some(found[best])
    }

    fn select(&self, offered: &[Descriptor]) -> Option<(usize, Vec<usize>)> {
        let host = self.wanted.host_build.as_deref();
        select(offered, &self.platform(), host)
    }

    fn platform(&self) -> Platform {
        let wanted = self.wanted.platform.clone();
        wanted.unwrap_or_else(Platform::windows)
    }

    /// Goes down to a manifest, by the platform where there are several.
    fn manifest(&mut self, top: Descriptor, depth: usize) -> Result<(Digest, Manifest)> {
        if depth > MAX_DEPTH {
            return Err(ImageError::TooDeep {
                label: self.label.clone(),
                limit: MAX_DEPTH,
            }
            .into());
        }
        let bytes = self.store.document(&top)?;
        let label = format!("document {} of `{}`", top.digest, self.label);
        match Document::parse(&bytes, &label)? {
            Document::Manifest(manifest) => Ok((top.digest, *manifest)),
            Document::Index(index) => {
                let chosen = self.chosen(&index)?;
                self.manifest(chosen, depth + 1)
            }
        }
    }

    fn chosen(&mut self, index: &Index) -> Result<Descriptor> {
        let offered = &index.manifests;
        if let Some((best, others)) = self.select(offered) {
            let platform = |at: usize| offered[at].platform.clone();
            self.other_platforms = others.into_iter().filter_map(platform).collect();
            return Ok(offered[best].clone());
        }
        match &offered[..] {
            // What it is for is in the configuration.
            [one] if one.platform.is_none() => Ok(one.clone()),
            _ => {
                let platforms = offered.iter().filter_map(|image| image.platform.as_ref());
                Err(self.no_such_platform(platforms.map(Platform::to_string).collect()))
            }
        }
    }

    fn no_such_platform(&self, platforms: Vec<String>) -> crate::Error {
        ImageError::NoSuchPlatform {
            label: self.label.clone(),
            platform: self.platform().to_string(),
            platforms,
        }
        .into()
    }

    /// Checks that an image is for the platform that was asked for; one that is alone may be for
    /// any, when none was asked for.
    fn check_platform(&self, config: &Config) -> Result<()> {
        match &self.wanted.platform {
            Some(wanted) if !wanted.fits(&config.platform) => {
                Err(self.no_such_platform(vec![config.platform.to_string()]))
            }
            _ => Ok(()),
        }
    }

    fn layers(&self, manifest: &Manifest, config: &Config) -> Result<Vec<ImageLayer>> {
        check_count(&self.label, manifest.layers.len(), config)?;
        let instructions = config.instructions();
        let layers = manifest.layers.iter().zip(&config.rootfs.diff_ids);
        let layers = layers.zip(instructions).map(|((layer, diff_id), by)| {
            let blob = match self.store.sized_blob(layer) {
                Ok(blob) => Some(blob),
                // It is somewhere else, as its author says.
                Err(crate::Error::Image(ImageError::Missing { .. })) if !layer.urls.is_empty() => {
                    None
                }
                Err(error) => return Err(error),
            };
            Ok(ImageLayer {
                media_type: layer.media_type.clone(),
                digest: Some(layer.digest),
                size: layer.size,
                diff_id: *diff_id,
                created_by: by.map(str::to_owned),
                urls: layer.urls.clone(),
                blob,
                label: self.label.clone(),
            })
        });
        layers.collect()
    }
}

/// An image in the list of a docker archive.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

fn of_docker_archive(
    store: Store,
    name: Option<&ImageName>,
    wanted: &OpenImage,
    label: String,
) -> Result<Image> {
    let images: Vec<DockerImage> = store.json(DOCKER_MANIFEST, DOCKER_ARCHIVE)?;
    let image = named_in_archive(&store, &images, name)?;
    let file = |name: &str| {
        let components: Vec<&str> = name.split('/').collect();
        store.file(&components, DOCKER_ARCHIVE)
    };
    let config_label = format!("the configuration of `{label}`");
    let bytes = read_document(&file(&image.config)?, &config_label)?;
    let config = Config::parse(&bytes, &config_label)?;
    let opening = Opening {
        store: &store,
        wanted,
        label,
        other_platforms: Vec::new(),
    };
    opening.check_platform(&config)?;
    check_count(&opening.label, image.layers.len(), &config)?;
    let layers = image.layers.iter().zip(&config.rootfs.diff_ids);
    let layers = layers
        .zip(config.instructions())
        .map(|((layer, diff_id), by)| {
            let blob = file(layer)?;
            Ok(ImageLayer {
                media_type: String::new(),
                digest: None,
                size: blob.len(),
                diff_id: *diff_id,
                created_by: by.map(str::to_owned),
                urls: Vec::new(),
                blob: Some(blob),
                label: opening.label.clone(),
            })
        });
    let layers = layers.collect::<Result<_>>()?;
    Ok(Image {
        label: opening.label,
        manifest_digest: None,
        config,
        config_digest: Digest::of(&bytes),
        layers,
        other_platforms: Vec::new(),
    })
}

fn named_in_archive<'i>(
    store: &Store,
    images: &'i [DockerImage],
    name: Option<&ImageName>,
) -> Result<&'i DockerImage> {
    let tags = |image: &DockerImage| image.repo_tags.clone().unwrap_or_default();
    let found: Vec<&DockerImage> = match name {
        Some(ImageName::Place(place)) => images.iter().skip(*place).take(1).collect(),
        Some(ImageName::Name(name)) => {
            let is_named =
                |image: &&DockerImage| tags(image).iter().any(|tag| is_same_name(tag, name));
            images.iter().filter(is_named).collect()
        }
        None => images.iter().collect(),
    };
    let names = || {
        let name = |(place, image): (usize, &DockerImage)| {
            tags(image)
                .into_iter()
                .next()
                .unwrap_or_else(|| format!("@{place}"))
        };
        images.iter().enumerate().map(name).collect()
    };
    match (&found[..], name) {
        ([one], _) => Ok(one),
        ([], Some(name)) => Err(ImageError::NoSuchImage {
            label: store.label(),
            name: name.to_string(),
            names: names(),
        }
        .into()),
        ([], None) => Err(ImageError::NoImages {
            label: store.label(),
        }
        .into()),
        _ => Err(ImageError::SeveralImages {
            label: store.label(),
            names: names(),
        }
        .into()),
    }
}

/// Returns whether two names are the same, one of them perhaps short: `app` for
/// `docker.io/library/app:latest`.
fn is_same_name(own: &str, name: &str) -> bool {
    let full = |text: &str| text.parse::<RegistryReference>().ok();
    own == name
        || full(own)
            .zip(full(name))
            .is_some_and(|(one, other)| one == other)
}

/// Returns how an image of a layout can be named.
fn name_of((place, image): (usize, &Descriptor)) -> String {
    let name = NAMES.iter().find_map(|key| image.annotations.get(*key));
    name.cloned().unwrap_or_else(|| format!("@{place}"))
}

fn check_count(label: &str, layers: usize, config: &Config) -> Result<(), ImageError> {
    let diff_ids = config.rootfs.diff_ids.len();
    match layers == diff_ids && layers <= MAX_LAYERS {
        true => Ok(()),
        false => Err(ImageError::LayerCount {
            label: label.to_owned(),
            layers,
            diff_ids,
        }),
    }
}

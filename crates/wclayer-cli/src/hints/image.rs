//! Hints about images: which images, platforms and layers there are, and how to name them.

use wclayer::error::ImageError;

/// How many names a hint lists.
const LISTED: usize = 20;

/// Returns the hint for an error about an image, if there is one.
pub(super) fn hint(error: &ImageError) -> Option<String> {
    Some(match error {
        ImageError::SeveralImages { names, .. } => {
            format!("Add the name of one after a colon: {}.", list(names))
        }
        ImageError::NoSuchImage { names, .. } if !names.is_empty() => {
            format!("It has {}.", list(names))
        }
        ImageError::NoSuchPlatform { platforms, .. } if !platforms.is_empty() => {
            format!("Choose with --platform: {}.", list(platforms))
        }
        ImageError::SeveralLayers { layers, .. } => format!(
            "As a parent, name an image with a single layer. To read one of several on top of those \
             below it, name the image as LAYER with `--only N`. Its layers: {}.",
            list(layers)
        ),
        ImageError::NoSuchLayer { layers, .. } => {
            format!("Choose with `--only N`: {}.", list(layers))
        }
        ImageError::WithParents { .. } => {
            "Omit -l: the layers of an image are each other's parents. `--only N` reads one of them \
             with those below it."
                .to_owned()
        }
        ImageError::NothingToChoose { .. } => "Omit --only and --platform.".to_owned(),
        ImageError::NoRegistry { .. } => {
            "Copy it to an archive first, for example with `skopeo copy docker://… oci-archive:FILE`."
                .to_owned()
        }
        ImageError::Foreign { urls, .. } => match &urls[..] {
            [] => return None,
            urls => format!("It can be downloaded from {}.", list(urls)),
        },
        ImageError::CompressedArchive { .. } => {
            "Decompress the archive: its layers are read where they are.".to_owned()
        }
        ImageError::Size { .. } | ImageError::Digest { .. } | ImageError::DiffId { .. } => {
            "The image was damaged or changed: copy it again from its source.".to_owned()
        }
        ImageError::NoImages { .. } | ImageError::Missing { .. } => {
            "Name an OCI image layout, an archive of one, or an archive of `docker save`.".to_owned()
        }
        _ => return None,
    })
}

fn list(names: &[String]) -> String {
    let shown: Vec<String> = names
        .iter()
        .take(LISTED)
        .map(|name| format!("`{name}`"))
        .collect();
    let more = match names.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    shown.join(", ") + &more
}

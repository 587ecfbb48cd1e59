//! Symbolic links and mount points: their two names, and the target that these express.

use super::{HEADER_SIZE, ReparseError, ReparseTag, check_data_length, encode_header};

/// Size of the offset and length fields of both names.
const NAME_FIELDS_SIZE: usize = 8;
const FLAGS_SIZE: usize = 4;
const UNIT_SIZE: usize = 2;
const NUL: [u16; 1] = [0];

/// `\??\`: the object directory that contains the drive letters.
const NT_PREFIX: [u16; 4] = [0x5c, 0x3f, 0x3f, 0x5c];
/// `\\?\`: the Win32 spelling of [`NT_PREFIX`].
const WIN32_PREFIX: [u16; 4] = [0x5c, 0x5c, 0x3f, 0x5c];
/// `UNC\`: after [`NT_PREFIX`], the equivalent of the Win32 prefix `\\`.
const UNC: [u16; 4] = [0x55, 0x4e, 0x43, 0x5c];
/// `\\`: the start of a network share's path.
const SHARE_PREFIX: [u16; 2] = [0x5c, 0x5c];
/// `\\?\GLOBALROOT`: the root of the object manager in a Win32 path.
const GLOBAL_ROOT: &str = r"\\?\GLOBALROOT";

/// A symbolic link.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Symlink {
    /// The name that Windows follows, in UTF-16 units: an object manager path or a relative path.
    pub substitute_name: Vec<u16>,
    /// The name shown in listings, in UTF-16 units.
    pub print_name: Vec<u16>,
    /// Flags; see [`Symlink::RELATIVE`].
    pub flags: u32,
}

/// A mount point or junction.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct MountPoint {
    /// The name that Windows follows, in UTF-16 units: an object manager path.
    pub substitute_name: Vec<u16>,
    /// The name shown in listings, in UTF-16 units.
    pub print_name: Vec<u16>,
}

impl Symlink {
    /// `SYMLINK_FLAG_RELATIVE`: the substitute name is relative to the link's location or, if it
    /// starts with a backslash, to the root of the link's volume.
    pub const RELATIVE: u32 = 1;

    const FIXED_SIZE: usize = HEADER_SIZE + NAME_FIELDS_SIZE + FLAGS_SIZE;

    pub(super) fn from_print_name(print_name: Vec<u16>) -> Self {
        let absolute = nt_path(&print_name);
        Self {
            flags: if absolute.is_some() {
                0
            } else {
                Self::RELATIVE
            },
            substitute_name: absolute.unwrap_or_else(|| print_name.clone()),
            print_name,
        }
    }

    pub(super) fn target(&self) -> Vec<u16> {
        let again = Self::from_print_name(self.print_name.clone());
        let is_relative = self.flags & Self::RELATIVE != 0;
        if again.substitute_name == self.substitute_name
            && is_relative == (again.flags == Self::RELATIVE)
        {
            return again.print_name;
        }
        if is_relative {
            return self.substitute_name.clone();
        }
        if let Some(target) = win32_path(&self.substitute_name) {
            return target;
        }
        // An absolute link outside `\??\`: without a prefix it would be read as relative.
        if self.substitute_name.first() == Some(&u16::from(b'\\')) {
            let prefix = GLOBAL_ROOT.encode_utf16();
            return prefix.chain(self.substitute_name.iter().copied()).collect();
        }
        self.substitute_name.clone()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, ReparseError> {
        let (substitute_name, print_name) = decode_names(bytes, Self::FIXED_SIZE)?;
        let flags = bytes
            .get(HEADER_SIZE + NAME_FIELDS_SIZE..)
            .and_then(|rest| rest.first_chunk())
            .map_or(0, |flags| u32::from_le_bytes(*flags));
        Ok(Self {
            substitute_name,
            print_name,
            flags,
        })
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, ReparseError> {
        let flags = self.flags.to_le_bytes();
        encode_names(
            ReparseTag::SYMLINK,
            &self.substitute_name,
            &self.print_name,
            &flags,
        )
    }

    pub(super) fn check_length(&self) -> Result<(), ReparseError> {
        let length = names_length(&self.substitute_name, &self.print_name) + FLAGS_SIZE;
        check_data_length(ReparseTag::SYMLINK, length).map(|_| ())
    }
}

impl MountPoint {
    const FIXED_SIZE: usize = HEADER_SIZE + NAME_FIELDS_SIZE;

    pub(super) fn from_print_name(print_name: Vec<u16>) -> Self {
        Self {
            substitute_name: nt_path(&print_name).unwrap_or_else(|| print_name.clone()),
            print_name,
        }
    }

    pub(super) fn target(&self) -> Vec<u16> {
        let again = Self::from_print_name(self.print_name.clone());
        if again.substitute_name == self.substitute_name {
            return again.print_name;
        }
        win32_path(&self.substitute_name).unwrap_or_else(|| self.substitute_name.clone())
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, ReparseError> {
        let (substitute_name, print_name) = decode_names(bytes, Self::FIXED_SIZE)?;
        Ok(Self {
            substitute_name,
            print_name,
        })
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, ReparseError> {
        encode_names(
            ReparseTag::MOUNT_POINT,
            &self.substitute_name,
            &self.print_name,
            &[],
        )
    }

    pub(super) fn check_length(&self) -> Result<(), ReparseError> {
        let length = names_length(&self.substitute_name, &self.print_name);
        check_data_length(ReparseTag::MOUNT_POINT, length).map(|_| ())
    }
}

/// Converts an absolute Win32 path to an object manager path; `None` for a relative one.
///
/// Follows go-winio `EncodeReparsePoint`, so `C:name` counts as absolute.
fn nt_path(path: &[u16]) -> Option<Vec<u16>> {
    if let Some(rest) = path.strip_prefix(&WIN32_PREFIX) {
        return Some([&NT_PREFIX, rest].concat());
    }
    if let Some(rest) = path.strip_prefix(&SHARE_PREFIX) {
        return Some([&NT_PREFIX, &UNC, rest].concat());
    }
    has_drive(path).then(|| [&NT_PREFIX, path].concat())
}

/// Reverses [`nt_path`]; `None` for a path outside `\??\`.
fn win32_path(path: &[u16]) -> Option<Vec<u16>> {
    let rest = path.strip_prefix(&NT_PREFIX)?;
    if has_drive(rest) {
        return Some(rest.to_vec());
    }
    let short = rest
        .strip_prefix(&UNC)
        .map(|share| [&SHARE_PREFIX, share].concat())
        // A share named `?` would be read as the prefix `\\?\`.
        .filter(|short| nt_path(short).as_deref() == Some(path));
    Some(short.unwrap_or_else(|| [&WIN32_PREFIX, rest].concat()))
}

fn has_drive(path: &[u16]) -> bool {
    let letter = path.first().and_then(|&unit| u8::try_from(unit).ok());
    letter.is_some_and(|letter| letter.is_ascii_alphabetic())
        && path.get(1) == Some(&u16::from(b':'))
}

/// Decodes both names from a buffer whose name area starts at `fixed_size`.
fn decode_names(bytes: &[u8], fixed_size: usize) -> Result<(Vec<u16>, Vec<u16>), ReparseError> {
    let fields = bytes
        .get(HEADER_SIZE..fixed_size)
        .and_then(|fields| fields.first_chunk::<NAME_FIELDS_SIZE>())
        .ok_or(ReparseError::Truncated {
            expected: fixed_size,
            actual: bytes.len(),
        })?;
    let [s0, s1, s2, s3, p0, p1, p2, p3] = *fields;
    let field = |low, high| usize::from(u16::from_le_bytes([low, high]));
    let (start, length) = (fixed_size + field(s0, s1), field(s2, s3));
    if length % UNIT_SIZE != 0 {
        return Err(ReparseError::OddSubstituteName {
            offset: start,
            actual: length,
        });
    }
    let substitute_name = units_at(bytes, start, length)?;
    let print_name = units_at(bytes, fixed_size + field(p0, p1), field(p2, p3))?;
    Ok((substitute_name, print_name))
}

fn units_at(bytes: &[u8], offset: usize, length: usize) -> Result<Vec<u16>, ReparseError> {
    let end = offset + length;
    let name = bytes
        .get(offset..end)
        .ok_or(ReparseError::NameOutOfBounds {
            offset,
            end,
            actual: bytes.len(),
        })?;
    let (units, _) = name.as_chunks::<UNIT_SIZE>();
    Ok(units.iter().map(|unit| u16::from_le_bytes(*unit)).collect())
}

/// Returns the length of the data with both names and their terminators but without flags, in
/// bytes.
fn names_length(substitute_name: &[u16], print_name: &[u16]) -> usize {
    NAME_FIELDS_SIZE + (substitute_name.len() + 1 + print_name.len() + 1) * UNIT_SIZE
}

/// Encodes the buffer: substitute name first, a NUL after each name.
fn encode_names(
    tag: ReparseTag,
    substitute_name: &[u16],
    print_name: &[u16],
    flags: &[u8],
) -> Result<Vec<u8>, ReparseError> {
    let data_length = names_length(substitute_name, print_name) + flags.len();
    let mut bytes = encode_header(tag, data_length)?;
    // The length of the data fits 16 bits, so the offsets and lengths inside it do too.
    let substitute_length = (substitute_name.len() * UNIT_SIZE) as u16;
    let print_length = (print_name.len() * UNIT_SIZE) as u16;
    let print_offset = substitute_length + UNIT_SIZE as u16;
    for field in [0, substitute_length, print_offset, print_length] {
        bytes.extend_from_slice(&field.to_le_bytes());
    }
    bytes.extend_from_slice(flags);
    for units in [substitute_name, &NUL, print_name, &NUL] {
        bytes.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
    }
    Ok(bytes)
}

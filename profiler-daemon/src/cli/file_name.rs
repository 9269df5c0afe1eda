//! The format that a result's file name asks for, where no `--format` is given.

use std::path::Path;

use super::form::Format;

/// Ends of file names, the longer of two that fit first.
const ENDS: [(&str, Format); 11] = [
    (".speedscope.json", Format::Speedscope),
    (".firefox.json", Format::Firefox),
    (".perfetto-trace", Format::Perfetto),
    (".pftrace", Format::Perfetto),
    (".pb.gz", Format::Pprof),
    (".json", Format::Json),
    (".folded", Format::Folded),
    (".txt", Format::Folded),
    (".callgraph.svg", Format::CallgraphSvg),
    (".dot", Format::Callgraph),
    (".svg", Format::Flamegraph),
];

impl Format {
    /// The format that a file's name asks for.
    pub(super) fn by_name(path: &Path) -> Self {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let end = ENDS.iter().find(|(end, _)| name.len() > end.len() && name.ends_with(end));
        end.map_or(Self::Flamegraph, |&(_, format)| format)
    }

    /// The same format as a file of this name is to have it: a call graph is drawn where it is to be an SVG.
    pub(super) fn for_name(self, path: &Path) -> Self {
        match self {
            Self::Callgraph if path.extension().is_some_and(|end| end == "svg") => Self::CallgraphSvg,
            format => format,
        }
    }
}

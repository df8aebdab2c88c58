"""The licence notices that must go with the pack, and with weights trained on it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from training.data.build.icons import IconSet
from training.data.build.sources import ICONIFY, Source

_HEAD: Final = """Symbols: third-party drawings

The packed file symbols.npz holds renderings of the icons and letters listed below: cropped to their ink, scaled to one
extent and stored as coverage masks. Each remains under its own licence. Logos, emoji and flags were left out.
"""
_ICONS: Final = f"""Icons, from {ICONIFY.package} {ICONIFY.version}

Each line: the set's name in that package, its title and version, its authors, where it comes from, its licence.
Sets under CC-BY-4.0 are used under the terms of https://creativecommons.org/licenses/by/4.0/: the authors are named here,
and the drawings were changed as said above.
"""
_MIT: Final = """The terms of MIT, for each of the sets above under MIT, copyright by its authors:

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation
files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy,
modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE,
ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""
_ISC: Final = """The terms of ISC, for each of the sets above under ISC, copyright by its authors:

Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted,
provided that the above copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED
WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR
CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF
CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.
"""
_BSD: Final = """The terms of BSD-3-Clause, for each of the sets above under BSD-3-Clause, copyright by its authors:

Redistribution and use in source and binary forms, with or without modification, are permitted provided that the following
conditions are met: redistributions of source code must retain the above copyright notice, this list of conditions and the
following disclaimer; redistributions in binary form must reproduce the above copyright notice, this list of conditions and
the following disclaimer in the documentation and/or other materials provided with the distribution; neither the name of the
copyright holder nor the names of its contributors may be used to endorse or promote products derived from this software
without specific prior written permission.

THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND ANY EXPRESS OR IMPLIED WARRANTIES,
INCLUDING, BUT NOT LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE
DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR CONTRIBUTORS BE LIABLE FOR ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL,
EXEMPLARY, OR CONSEQUENTIAL DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES; LOSS OF
USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT
LIABILITY, OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE OF THIS SOFTWARE, EVEN IF ADVISED
OF THE POSSIBILITY OF SUCH DAMAGE.
"""


def notice(packages: Path, sets: Sequence[IconSet], fonts: Sequence[Source]) -> str:
    """Return the whole text: a line for each icon set and each font family, and one copy of each licence."""
    lines = [_set_line(each) for each in sets]
    return "\n".join([_HEAD, _ICONS, *lines, "", _MIT, _ISC, _BSD, *_fonts(packages, fonts)])


def _set_line(each: IconSet) -> str:
    return f"{each.prefix}: {each.title} {each.version}, {each.author}, {each.url} ({each.licence})".replace(" ,", ",")


def _fonts(packages: Path, fonts: Sequence[Source]) -> Iterable[str]:
    """Yield one line for each family, then each licence once."""
    texts = {font: _licence(packages / font.package) for font in fonts}
    yield "Fonts, drawn as letters and digits\n"
    yield from (f"{font.package} {font.version} ({font.licence}): {_copyright(packages, font)}" for font in fonts)
    whole = {font.licence: text for font, text in reversed(texts.items())}
    for licence, text in sorted(whole.items()):
        yield f"\nThe terms of {licence}:\n\n{text.partition(chr(10))[2].lstrip()}"


def _copyright(packages: Path, font: Source) -> str:
    """Return the copyright statements of a family, each once: packages repeat them for every file."""
    about = json.loads((packages / font.package / "metadata.json").read_text(encoding="utf-8"))
    statements = re.split(r" (?=\S+\.(?:ttf|otf): )", str(about["license"]["attribution"]).strip())
    return " ".join(dict.fromkeys(re.sub(r"^\S+\.(?:ttf|otf): ", "", statement) for statement in statements))


def _licence(package: Path) -> str:
    path = next(path for name in ("LICENSE", "license") if (path := package / name).exists())
    return "\n".join(line.rstrip() for line in path.read_text(encoding="utf-8").splitlines()) + "\n"

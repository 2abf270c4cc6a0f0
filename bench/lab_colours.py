"""Write the colour tables of the lab: `static/core/maps.js`, 256 colours each, as base64.

Needs cmcrameri (F. Crameri's perceptually uniform tables) and matplotlib:
    pip install cmcrameri matplotlib && python bench/lab_colours.py
"""

import argparse
import base64
from pathlib import Path

import numpy as np

OUT = Path(__file__).parents[1] / "src" / "convivo" / "lab" / "static" / "core" / "maps.js"
HEAD = """\
// Colour tables of 256 colours, red green blue, as base64. Written by bench/lab_colours.py.
//
// vik, berlin: Scientific colour maps, Copyright (c) 2020 Fabio Crameri, MIT licence,
// doi:10.5281/zenodo.1243862. The licence's text: Permission is hereby granted, free of charge,
// to any person obtaining a copy of this software and associated documentation files (the
// "Software"), to deal in the Software without restriction, including without limitation the
// rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of
// the Software, and to permit persons to whom the Software is furnished to do so, subject to
// the following conditions: The above copyright notice and this permission notice shall be
// included in all copies or substantial portions of the Software. THE SOFTWARE IS PROVIDED "AS
// IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
// WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO
// EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
// LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
// CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
// cividis: Nunez, Anderton and Renslow 2018, doi:10.1371/journal.pone.0199239; inferno: N.
// Smith and S. van der Walt, CC0; both as matplotlib has them.
"""


def tables() -> dict[str, np.ndarray]:
    """256 x 3 values in 0 ... 1 by name."""
    import matplotlib as mpl
    from cmcrameri import cm

    own = {name: getattr(cm, name).colors for name in ("vik", "berlin")}
    found = {name: mpl.colormaps[name](np.arange(256))[:, :3] for name in ("cividis", "inferno")}
    return {name: np.asarray(table)[:, :3] for name, table in (own | found).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    out = parser.parse_args().out
    lines = [HEAD]
    for name, table in tables().items():
        data = np.rint(255 * table).astype(np.uint8).tobytes()
        lines.append(f'export const {name} =\n  "{base64.b64encode(data).decode()}";\n')
    out.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()

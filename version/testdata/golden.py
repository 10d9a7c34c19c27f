"""Writes golden.json: what pip's own `packaging` says. Run with packaging installed: python3 golden.py > golden.json"""
import json, itertools, packaging
from packaging.version import Version, InvalidVersion
from packaging.specifiers import SpecifierSet, InvalidSpecifier

spellings = """1.0 v1.0 V1.0 1.0.0 1 0 00.1 1.0a1 1.0-a1 1.0_alpha.1 1.0alpha 1.0a. 1.0a..post1 1.0a-1 1.0a--1 1.0b2 1.0BETA-2 1.0c3 1.0rc3
1.0pre3 1.0preview 1.0.post 1.0.post1 1.0-1 1.0-r4 1.0rev4 1.0r4 1.0post-2 1.0.dev 1.0.dev3 1.0dev3 1.0a1.dev2 1.0a1.post2.dev3
1.0.post2.dev3 1!2.0 0!1.0 1!0.5 1.0+ubuntu-1 1.0+Ubuntu_1.02 1.0+abc.5 1.0+5.abc 1.0+5 1.0+10 1.0+5a 2.8.0+cu128 2.8.0+cu129 2.8.0
0.6.3.post1 0.10.1 0.10.1.1 0.9.0.1 0.30.1.dev0 4.55.0.dev0 5.0.0rc1 2024.1.1 20240101123000 1.0.0.0.1 1..0 1.0. .1 1.0+ 1.0+a..b 1.0+é
1.0-x one 1.0x 1!!2 1.0.post1.post2 1.0.dev1.post1 1.0a1b2 1.* 1.0\u212a 1.0+\u212a 1.0po\u017ft1 1.0-- 1.0-1-2 1.0-1.dev2 1.0rc 1.0.r
1.1.dev0 1.0.post999 1.0rc1+x 1.0.post1+x 2.0.dev1 2.0a1 2.0 2.0.post1 1.9 3""".split() + ["", " 1.0 ", "1 .0", "1.0 a1"]
spellings = [s.encode().decode("unicode_escape") if "\\u" in s else s for s in spellings]

parsed, good = [], []
for s in spellings:
    try:
        v = Version(s)
        parsed.append([s, str(v), v.public, v.base_version, v.local or "", v.is_prerelease, v.is_postrelease])
        good.append(s)
    except InvalidVersion:
        parsed.append([s])

order = sorted({str(Version(s)): s for s in good}.values(), key=lambda s: (Version(s), str(Version(s))))
ranks, rank, last = [], -1, None
for s in order:
    v = Version(s)
    if v != last: rank += 1
    last = v
    ranks.append([s, rank])

specs = ["", ">=1.0", ">=1.0a1", "<=1.0", "<=1.0.post1", "<1.0", "<2.0", "<2.0a1", "<2.0.dev1", "<1.0.post1", "<1.0a1.post2", ">1.0",
 ">1.0a1", ">1.0.post1", ">1.0.dev3", ">1", ">0.9", "==1.0", "==1.0.0", "==1.0+5", "==1.0+ubuntu.1", "==2.8.0", "==2.8.0+cu128",
 "!=1.0", "!=1.0+5", "!=2.8.0+cu128", "==1.*", "==1.0.*", "==1!2.*", "!=1.*", "!=1.0.*", "~=1.0", "~=1.0.0", "~=1.0a1", "~=2.0.dev1",
 "~=0.6.3.post1", "===1.0", "===2.8.0+CU128", "===foo", ">=4.56.0,<5", ">=1.0,<2.0,!=1.9", ">=0.9.dev0,<2", "(>=1.0, <2)",
 ">= 1.0 , < 3", ">=1!0.1", "<1!0.1", ">=v1.0", ">=1.0,", ">=4.56.0,!=5.0.*,!=5.1.*,!=5.5.0", "==1.0.post2.dev3", "<=1.0.dev3",
 "~=1", "==1.0a1.*", ">=1.0+x", "<1.*", "1.0", "=1.0", "=>1.0", "==", "~=1.0.*", "===", "== 1.0 2.0", "!=1.0.post1.*", "==1.0+x.*"]
table = []
for s in specs:
    t = s[1:-1] if s.startswith("(") else s
    try:
        sp = SpecifierSet(t)
    except InvalidSpecifier:
        table.append({"spec": s}); continue
    admits = [v for v in good if sp.contains(Version(v), prereleases=True)]
    contains = [v for v in good if sp.contains(Version(v), prereleases=bool(sp.prereleases))]
    table.append({"spec": s, "ok": True, "admits": admits, "contains": contains})

print(json.dumps({"packaging": packaging.__version__, "parsed": parsed, "order": ranks, "specifiers": table}, ensure_ascii=True))

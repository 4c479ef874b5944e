"""The functions of jq that an expression may call, and the reasons against others."""

from __future__ import annotations


def _names(text: str) -> list[str]:
    return text.split()


ALLOWED: frozenset[str] = frozenset(
    _names(
        """
    IN/1 IN/2 INDEX/1 INDEX/2 abs/0 add/0 add/1 all/0 all/1 all/2 any/0 any/1 any/2 arrays/0
    ascii_downcase/0 ascii_upcase/0 booleans/0 bsearch/1 capture/1 capture/2 ceil/0 contains/1 del/1
    delpaths/1 empty/0 endswith/1 error/0 error/1 explode/0 fabs/0 false/0 finites/0 first/0 first/1
    flatten/0 flatten/1 floor/0 format/1 from_entries/0 fromdate/0 fromdateiso8601/0 fromjson/0
    fromstream/1 getpath/1 group_by/1 gsub/2 gsub/3 has/1 implode/0 in/1 index/1 indices/1 inside/1
    isempty/1 isfinite/0 isinfinite/0 isnan/0 isnormal/0 iterables/0 join/1 keys/0 keys_unsorted/0
    last/0 last/1 length/0 limit/2 ltrim/0 ltrimstr/1 map/1 map_values/1 match/1 match/2 max/0
    max_by/1 min/0 min_by/1 normals/0 not/0 nth/1 nth/2 null/0 nulls/0 numbers/0 objects/0 path/1
    paths/0 paths/1 pick/1 pow/2 range/1 range/2 range/3 recurse/0 reverse/0 rindex/1 round/0
    rtrim/0 rtrimstr/1 scalars/0 scan/1 scan/2 select/1 setpath/2 skip/2 sort/0 sort_by/1 split/1
    split/2 sqrt/0 startswith/1 strings/0 sub/2 sub/3 test/1 test/2 to_entries/0 toboolean/0
    todate/0 todateiso8601/0 tojson/0 tonumber/0 tostream/0 tostring/0 transpose/0 trim/0 trimstr/1
    true/0 trunc/0 type/0 unique/0 unique_by/1 utf8bytelength/0 values/0 walk/1 with_entries/1
    """
    )
)
"""The allowed functions, as name/arity. Each ends for every input, and gives the same on every machine."""

FORMATS = frozenset(_names("@text @json @html @uri @urid @csv @tsv @sh @base64 @base64d @base32 @base32d"))

KEYWORDS = frozenset(
    _names("and or if then elif else end as reduce foreach try catch label break __loc__")
    + _names("def import include module")
)

_CLOCK = "it depends on the clock or the calendar of the machine, so a replay would differ"
_OUTSIDE = "it reaches out of the expression"
_ENDLESS = "it may never end"
_DEFINES = "an expression defines nothing and loads nothing"

_REFUSED_NAMES = {
    _CLOCK: "now localtime gmtime mktime strftime strptime strflocaltime",
    _OUTSIDE: """
        env input inputs debug stderr input_filename input_line_number halt halt_error modulemeta builtins
        get_search_list get_jq_origin get_prog_origin""",
    _ENDLESS: "until while repeat recurse infinite nan",
    _DEFINES: "def import include module",
}
REFUSED: dict[str, str] = {name: reason for reason, names in _REFUSED_NAMES.items() for name in _names(names)}
"""The reasons against words that are refused; recurse without an argument is allowed."""

REFUSED_VARIABLES = dict.fromkeys(("ENV", "__loc__", "__prog_args", "__prog_name"), _OUTSIDE)

"""Which column is the user, the item, the time: as the person says, else by the names that published logs use."""

import re
from collections.abc import Sequence

from mindrec.errors import MindRecError
from mindrec.sources.repairs import Repairs
from mindrec.sources.tables import looks_like_data

NAMES = {
    "user": "userid user uid customerid customer custid reviewerid reviewer visitorid visitor memberid member "
    "accountid clientid person personid buyerid shopperid listenerid profileid userno username customername "
    "customerno customernumber accountno clientno subscriberid householdid householdkey studentid learnerid playerid "
    "steamid viewerid readerid email useremail customeremail kundenid kundennummer kundennr kunde usersessionid "
    "sessionid session",
    "item": "itemid item iid productid product prodid parentasin asin stockcode sku skuid articleid article movieid "
    "film filmid bookid isbn isbn13 artistid trackid songid gameid appid businessid venueid courseid goodsid "
    "contentid newsid itemsku lineitemsku productsku productcode productno productnumber itemcode itemno itemnumber "
    "recipeid jobid postid videoid showid animeid placeid storyid documentid articleno artikelnummer artikelnr "
    "artikelid artikel id ean gtin upc barcode",
    "time": "timestamp time datetime date ts unixreviewtime eventtime invoicedate orderdate purchasedate createdat "
    "created reviewtime eventdate ratedat tstamp unixtime when visitdate transactiondate transactiontime utctime "
    "purchasetime ordertime ordereddate reviewdate eventtimestamp createdtime createdate createddate datecreated "
    "dateadded clicktime playedat listenedat watchedat viewedat visitedat checkintime logdate datum zeit zeitstempel "
    "bestelldatum",
    "title": "title itemtitle movietitle producttitle name itemname productname appname booktitle songtitle "
    "trackname artistname gamename productdescription",
    "brand": "brand store manufacturer bookauthor author artist publisher",
    "description": "description",
    "category": "categories category categorypath genres genre categoryname itemcategory productcategory categorycode",
    "rating": "rating ratings stars score overall reviewscore bookrating",
    "event": "event eventtype behavior behaviour behaviortype action actiontype interactiontype",
}
OPTION = {"user": "--user-column", "item": "--item-column", "time": "--time-column"}


def plain(name: str) -> str:
    """A column's name in small letters and digits alone, as names are compared."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def guessed(use: str, columns: Sequence[str], taken: Sequence[str | None] = ()) -> str | None:
    """The column that is called as `use` is called elsewhere, the surest name first; None where there is none."""
    by_name: dict[str, str] = {}
    for column in columns:
        if column not in taken:
            by_name.setdefault(plain(column), column)
    return next((by_name[name] for name in NAMES[use].split() if name in by_name), None)


def log_roles(
    columns: Sequence[str], wanted: dict[str, str | None], name: str, repairs: Repairs, *, header: bool = True
) -> dict[str, str]:
    """{use: column} of user, item and, where there is one, time. `wanted` maps a use to a column, None, or "" for none.

    Raises:
        MindRecError: a column that is named is not there, or one that is needed is neither named nor known.
    """
    named = {use: column for use, column in wanted.items() if column}
    if header and looks_like_data(columns) and not any(guessed(use, columns) for use in ("user", "item")):
        raise MindRecError(
            f"{name}: the first line looks like data, not like names ({', '.join(columns[:6])}); give --no-header and "
            "columns by number, as in the command that --look proposes: --user-column 1 --item-column 2 ..."
        )
    roles: dict[str, str] = {}
    for use in wanted:
        if wanted[use] == "":
            continue
        column = named.get(use)
        if column is None:
            column = guessed(use, columns, [*roles.values(), *named.values()])
            if column and column not in ("user_id", "item_id", "timestamp"):
                repairs.note(f"{name}: column {column!r} is taken as the {use}; {OPTION[use]} names another")
        if column is None or column not in columns:
            raise MindRecError(_missing(use, column, columns, name))
        roles[use] = column
    return roles


def _missing(use: str, column: str | None, columns: Sequence[str], name: str) -> str:
    has = ", ".join(map(repr, columns[:40]))
    if column and f"{column}.1" in columns:
        return (
            f"{name} has the column {column!r} more than once; name one as {OPTION.get(use, '--' + use + '-column')} "
            f"{column}.1 or {column}.2"
        )
    doubled = next((c for c in columns if c.endswith(".1") and guessed(use, [c[:-2]])), None)
    if column is None and doubled:
        return (
            f"{name} has the column {doubled[:-2]!r} more than once; name one as {OPTION[use]} {doubled[:-2]}.1 or .2"
        )
    flag = OPTION.get(use, f"--{use.replace('_', '-')}-column")
    out = f"{name} has no column {column!r} for the {use}" if column else f"{name} has no column known as the {use}"
    out += f"; it has {has}: name the right one with {flag}"
    if use == "time":
        out += ", or give --no-time where the rows are in order already"
    return out

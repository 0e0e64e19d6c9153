"""The usual names of columns and actions in shops' logs, and scores of a name for a role."""

import re
from collections.abc import Mapping, Sequence

Names = Mapping[str, float]  # a name without separators, and its score for the role

# Without separators and case: `visitorId`, `visitor_id` and `VISITOR ID` are one name.
ROLE_NAMES: dict[str, Names] = {
    "time": {
        **dict.fromkeys(("timestamp", "eventtimestamp", "eventtime", "ts", "datetime", "time", "createdat", "occurredat", "eventts"), 1.0),
        **dict.fromkeys(
            ("invoicedate", "orderdate", "purchasedate", "transactiondate", "tdat", "servertime", "clientts", "loggedat"), 0.95
        ),
        **dict.fromkeys(("at", "date", "when", "eventdate", "hour", "day", "clickedat", "paidat", "orderedat", "servertimestamp"), 0.8),
        **dict.fromkeys(("zeit", "datum", "zeitpunkt", "fecha", "heure", "dt", "epoch", "unixtime", "uts", "clock", "moment"), 0.75),
        **dict.fromkeys(("timeframe", "visitstarttime", "starttime", "updatedat", "ratedat", "passed"), 0.6),
    },
    "user": {
        **dict.fromkeys(("userid", "user", "visitorid", "visitor", "customerid", "customer", "shopper", "shopperid", "userpseudoid"), 1.0),
        **dict.fromkeys(("custno", "cust", "custid", "customerno", "clientid", "client", "memberid", "member", "buyerid", "buyer"), 0.95),
        **dict.fromkeys(("uuid", "uid", "accountid", "account", "fullvisitorid", "guid", "personid", "reviewerid", "profileid"), 0.85),
        **dict.fromkeys(("kunde", "kundenid", "kundennr", "cliente", "email", "deviceid", "cookieid", "cookie", "msno", "guestid"), 0.7),
        **dict.fromkeys(
            ("useremail", "anonymousid", "distinctid", "userhash", "useridhash", "customerhash", "loyaltyid", "householdid"), 0.8
        ),
    },
    "session": {
        **dict.fromkeys(("sessionid", "session", "usersession", "visitid", "visit", "sessid", "sid", "gasessionid", "sessionidhash"), 1.0),
        **dict.fromkeys(("sess", "visitno", "sitzung", "sessionkey", "browsersession"), 0.8),
    },
    "item": {
        **dict.fromkeys(("itemid", "item", "productid", "product", "sku", "articleid", "article", "stockcode", "movieid", "asin"), 1.0),
        **dict.fromkeys(("aid", "newsid", "docid", "adid", "offerid", "goodsid", "skuid", "productsku", "lineitemsku", "listingid"), 0.95),
        **dict.fromkeys(
            ("productcode", "itemcode", "productno", "itemno", "articleno", "artikel", "artikelnr", "variantid", "contentid"), 0.9
        ),
        **dict.fromkeys(("hotelid", "songid", "trackid", "bookid", "isbn", "ean", "gtin", "upc", "parentasin", "gid", "pid", "iid"), 0.8),
        **dict.fromkeys(("movie", "song", "book", "goods", "offer", "listing", "ad", "reference", "productskuhash", "videoid"), 0.7),
        **dict.fromkeys(("documentid", "url", "pageid", "businessid", "recipeid", "gameid", "appid", "id"), 0.4),
    },
    "action": {
        **dict.fromkeys(
            ("event", "eventtype", "eventname", "action", "actiontype", "activity", "behavior", "behaviour", "interaction"), 1.0
        ),
        **dict.fromkeys(
            ("type", "behaviortype", "behaviourtype", "interactiontype", "activitytype", "what", "verb", "productaction"), 0.85
        ),
        **dict.fromkeys(("kind", "ereignis", "aktion", "eventcategory", "transactiontype", "did", "op"), 0.6),
    },
    "request": {
        **dict.fromkeys(
            ("requestid", "request", "impressionid", "displayid", "searchid", "queryid", "pageviewid", "slateid", "serpid"), 1.0
        ),
        **dict.fromkeys(("impid", "listid", "srchid", "rankingid", "recommendationid", "recoid", "feedid", "auctionid", "page_view"), 0.9),
        **dict.fromkeys(("orderid", "order", "orderno", "invoiceno", "invoice", "invoiceid", "transactionid", "basketid", "basket"), 0.8),
        **dict.fromkeys(("ordernumber", "receiptid", "receipt", "ticketid", "checkoutid", "pageview", "page_view_id", "bestellung"), 0.75),
    },
    "position": {
        **dict.fromkeys(("position", "pos", "rank", "slot", "itempos", "itemposition", "place", "positioninlist", "itemlistindex"), 1.0),
        **dict.fromkeys(("index", "displayposition", "row", "listindex", "idx", "addtocartorder", "shelfposition"), 0.7),
    },
    "order": {
        **dict.fromkeys(("step", "seq", "sequence", "sequencenumber", "eventindex", "eventseq", "seqno", "batchorderingid"), 0.9),
    },
    "label": {
        **dict.fromkeys(("label", "click", "clicked", "isclick", "isclicked", "target", "clickbool", "iscl"), 1.0),
        **dict.fromkeys(("conversion", "converted", "purchased", "bought", "booked", "bookingbool", "ispurchase", "reordered", "y"), 0.85),
    },
    "quantity": {
        **dict.fromkeys(("quantity", "qty", "lineitemquantity", "units", "menge", "numitems", "itemquantity"), 1.0),
        **dict.fromkeys(("count", "amountordered", "pieces"), 0.5),
    },
    "revenue": {
        **dict.fromkeys(("revenue", "itemrevenue", "sales", "turnover", "linetotal", "total", "amount", "umsatz", "grandtotal"), 0.9),
    },
    "margin": {**dict.fromkeys(("margin", "profit", "grossprofit", "contribution", "marge"), 0.9)},
    "rating": {**dict.fromkeys(("rating", "stars", "ratings", "score", "overall", "reviewscore", "bewertung", "note"), 0.9)},
    "price": {
        **dict.fromkeys(("price", "unitprice", "saleprice", "listprice", "lineitemprice", "preis", "precio", "prix", "cost"), 1.0),
        **dict.fromkeys(("pricelog2", "priceusd", "amt", "msrp", "originalprice", "discountprice"), 0.8),
    },
    "valid_from": {
        **dict.fromkeys(
            ("validfrom", "from", "since", "effectivefrom", "effectivedate", "startdate", "changedat", "updatedat", "asof"), 1.0
        ),
        **dict.fromkeys(("timestamp", "ts", "time", "date", "day", "week", "updated"), 0.7),
    },
    "property": {**dict.fromkeys(("property", "attribute", "attr", "propertyname", "attributename", "feature", "field", "key"), 1.0)},
    "value": {**dict.fromkeys(("value", "propertyvalue", "attributevalue", "val", "wert"), 1.0)},
}

# Attributes of a product, in whatever file.
ITEM_ATTRIBUTES = (
    "price|brand|category|title|description|colou?r|size|vendor|manufacturer|genre|weight|material|product|item|sku|department|aisle"
    "|style|collection|stock|rating|discount|currency|unit"
)
SHOPPER_ATTRIBUTES = "age|gender|sex|occupation|zip|postal|income|loyalty|tier|segment|birth|member|newsletter|fashion_news"

# Personal data, which isn't used for features.
PERSONAL = re.compile(r"(^|[^a-z])(email|phone|street|address|first_?name|last_?name|surname|billing|shipping|ip)([^a-z]|$)")

# Actions by their words in logs; the first match counts. The gains rank them: a purchase is above a click.
ACTION_NAMES: tuple[tuple[str, str, float], ...] = (
    (r"remove|delete|uncart|abandon|unfav|unlike|dislike|unsubscribe", "remove", 0.0),
    (r"return|refund|cancel|storno|chargeback", "return", 0.0),
    (r"impression|imp$|shown|show$|expos|displayed|view_?item_?list|view_?list|list_?view|served|rendered|list$", "impression", 0.0),
    (r"purchas|transaction|order|buy|bought|conversion|^pay|paid|sale|booking|checkout_?complete|rent", "purchase", 4.0),
    (r"checkout|begin_?checkout|payment_?info|shipping_?info", "checkout", 2.0),
    (r"cart|basket|add_?to_?bag|^add$|^bag$|warenkorb", "cart", 2.0),
    (r"wish|favou?rit|^fav$|like|save|bookmark|collect", "favourite", 1.0),
    (r"click|^clk$|select_?item|select_?content|tap|open|choose|select", "click", 1.0),
    (r"search|query|filter|sort|page_?view|scroll|session|first_?visit|user_?engagement|login|logout|signup|visit|home", "other", 0.0),
    (r"view|detail|^pv$|browse|look|visit|read|play|listen|watch|see", "view", 0.0),
)
_NO_ITEM = re.compile(r"search|query|filter|sort|page_?view|scroll|session|first_?visit|engagement|login|logout|signup|home", re.IGNORECASE)

# Words for missing values, beyond ingestion's defaults.
NULL_WORDS = frozenset(("", "null", "\\n", "nan", "none", "undefined", "na", "n/a", "-"))
ODD_NULL_WORDS = frozenset(
    ("unknown", "(not set)", "not set", "missing", "?", "n.a.", "#n/a", "nil", "<na>", "--", "not available", "(none)")
)


def plain_name(name: str) -> str:
    """Normalize a column's name: no separators, lower case; the last part of a path, or the key in its brackets."""
    if keyed := re.findall(r"\[\w+=([^\]]+)\]", name):
        name = keyed[-1]
    name = name.rpartition(".")[2] if name.rpartition(".")[2] not in ("", "#") else name
    return re.sub(r"[^a-z0-9]", "", name.lower())


def name_score(name: str, role: str) -> float:
    """Score a column's name for a role, 0 to 1: by the whole name, else by its parts."""
    names = {re.sub(r"[^a-z0-9]", "", known): score for known, score in ROLE_NAMES[role].items()}
    plain = plain_name(name)
    if plain in names:
        return names[plain]
    parts = _parts(name)
    # The end of a name has the role: `buyer_visitor_id`, `order_created_at`.
    for start in range(1, len(parts)):
        if (tail := "".join(parts[start:])) in names and tail != "id":
            return 0.8 * names[tail]
    head = "".join(parts[:-1])
    if len(parts) > 1 and parts[-1] in ("id", "no", "nr", "hash", "key", "code", "number", "num") and head in names:
        return 0.8 * names[head]
    return 0.0


def is_known_name(name: str) -> bool:
    """Return whether a name is known for any role."""
    return any(name_score(name, role) >= 0.6 for role in ROLE_NAMES)


def is_code(name: str) -> bool:
    """Return whether a name means a column of ids."""
    return _parts(name)[-1:] in (["id"], ["code"], ["no"], ["nr"], ["key"], ["hash"], ["number"]) or plain_name(name).endswith("id")


def is_item_attribute(name: str) -> bool:
    """Return whether a name means an attribute of the item."""
    return bool(re.search(rf"(^|[^a-z])({ITEM_ATTRIBUTES})", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()))


def is_shopper_attribute(name: str) -> bool:
    """Return whether a name means an attribute of the user."""
    return bool(re.search(rf"(^|[^a-z])({SHOPPER_ATTRIBUTES})", name.lower()))


def is_personal(name: str) -> bool:
    """Return whether a column is personal data, such as a name or an address; a country or a region isn't."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return bool(PERSONAL.search(words)) and not re.search(r"country|method|province|region", words)


def action_of(value: str) -> tuple[str, float]:
    """Return the action that a log's word means and its default gain; ("", 0) for an unknown word."""
    plain = re.sub(r"[^a-z0-9_]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", value.strip()).lower())
    for pattern, name, gain in ACTION_NAMES:
        if re.search(pattern, plain):
            return name, gain
    return "", 0.0


def is_about_no_item(value: str) -> bool:
    """Return whether an action's word means that it has no single item."""
    return bool(_NO_ITEM.search(value))


def feature_name(column: str, taken: Sequence[str] = ()) -> str:
    """Make a feature's name from its column's: lower case, digits and underscores, other than the used ones."""
    if keyed := re.findall(r"\[\w+=([^\]]+)\]", column):
        column = keyed[-1]
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column.rpartition(".")[2] or column)
    base = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")[:50] or "column"
    base = base if base[0].isalpha() else f"c_{base}"
    name, number = base, 2
    while name in taken:
        name, number = f"{base}_{number}", number + 1
    return name


def _parts(name: str) -> list[str]:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return [part for part in re.split(r"[^a-z0-9]+", words.lower()) if part]

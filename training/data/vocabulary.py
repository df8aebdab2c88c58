"""The frozen names of labels, styles, hues and tiles, and of the image families.

Trained weights depend on the order: values may never be moved, renamed or removed.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Final

from models.config import Control

MONOGRAMS: Final = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
"""Labels of letters and digits."""

CONCEPTS: Final = (
    "alarm", "arrow-down", "arrow-left", "arrow-right", "arrow-up", "bag", "bank", "battery", "bed", "bell",
    "bicycle", "bolt", "book", "bookmark", "box", "briefcase", "brush", "bug", "building", "bus", "cake",
    "calculator", "calendar", "camera", "car", "cart", "chart-bar", "chart-line", "chart-pie", "chat", "check",
    "chip", "clipboard", "clock", "close", "cloud", "code", "coffee", "compass", "credit-card", "crown", "database",
    "diamond", "dice", "dollar", "download", "drink", "drop", "eye", "eye-off", "file", "filter", "fire", "flag",
    "flask", "flower", "folder", "fork-knife", "gamepad", "gift", "glasses", "globe", "graduation", "grid", "hand",
    "headphones", "heart", "home", "hourglass", "ice-cream", "image", "info", "key", "keyboard", "laptop", "layers",
    "leaf", "lightbulb", "link", "list", "lock", "mail", "map", "medal", "megaphone", "menu", "microphone", "mobile",
    "money", "monitor", "moon", "mouse", "music", "mute", "palette", "paperclip", "pause", "pencil", "phone", "pill",
    "pin", "plane", "play", "plus", "power", "printer", "pulse", "puzzle", "question", "quote", "rain", "refresh",
    "robot", "rocket", "sad", "save", "scissors", "search", "send", "server", "settings", "share", "shield", "ship",
    "sliders", "smile", "snowflake", "sparkles", "star", "store", "sun", "tag", "target", "thermometer",
    "thumbs-down", "thumbs-up", "ticket", "train", "trash", "tree", "trophy", "truck", "umbrella", "unlock",
    "upload", "user", "users", "video", "volume", "wallet", "wand", "warning", "watch", "wifi", "wrench",
)  # fmt: skip
"""Labels of icons: their subjects."""

_OTHER_NAMES: Final = {
    "alarm": "alarm-clock", "arrow-down": "down", "arrow-left": "left back", "arrow-right": "right forward",
    "arrow-up": "up", "bag": "shopping-bag handbag purse tote", "bank": "museum government institution",
    "battery": "charge", "bed": "hotel sleep", "bell": "notification alert", "bicycle": "bike cycle",
    "bolt": "lightning flash zap thunder electricity energy", "book": "books reading library open-book",
    "box": "package cube parcel product", "briefcase": "suitcase work job business portfolio",
    "brush": "paintbrush paint", "bug": "beetle ladybug insect",
    "building": "office city company skyscraper apartment office-building", "bus": "coach",
    "cake": "birthday cupcake", "calendar": "date event", "camera": "photo-camera photography",
    "car": "automobile vehicle", "cart": "shopping-cart trolley shopping",
    "chart-bar": "chart bar-chart graph statistics analytics", "chart-line": "line-chart trend growth",
    "chart-pie": "pie-chart", "chat": "message comment speech-bubble conversation talk",
    "check": "checkmark tick done ok", "chip": "cpu processor microchip", "clipboard": "paste clipboard-list",
    "clock": "time hour timer", "close": "cross times cancel", "code": "coding developer brackets terminal",
    "coffee": "cup mug tea cafe hot-drink", "credit-card": "card payment bank-card", "crown": "king queen royal",
    "database": "db storage", "diamond": "gem jewel gemstone", "dice": "die", "dollar": "dollar-sign usd",
    "drink": "cocktail wine martini bar", "drop": "water droplet water-drop", "eye": "view visible vision",
    "eye-off": "hidden invisible hide", "file": "document page paper", "filter": "funnel", "fire": "flame hot",
    "flask": "science lab experiment chemistry beaker", "flower": "rose tulip blossom", "folder": "directory",
    "fork-knife": "restaurant food cutlery utensils dining", "gamepad": "game controller gaming", "gift": "present",
    "glasses": "eyeglasses sunglasses", "globe": "world earth internet web",
    "graduation": "school education graduation-cap university", "grid": "apps", "hand": "palm stop-hand",
    "headphones": "headset earphones", "heart": "love like favorite", "home": "house homepage",
    "hourglass": "sandglass", "ice-cream": "icecream popsicle", "image": "picture photo gallery",
    "info": "information", "laptop": "notebook macbook", "layers": "stack", "leaf": "eco nature ecology plant",
    "lightbulb": "bulb idea light lamp-bulb", "link": "chain url", "list": "bullets",
    "lock": "padlock locked secure", "mail": "email envelope letter", "medal": "award prize",
    "megaphone": "bullhorn campaign announcement marketing", "menu": "hamburger", "microphone": "mic voice",
    "mobile": "smartphone cellphone iphone tablet", "money": "cash banknote",
    "monitor": "screen desktop tv television display computer", "moon": "night dark-mode crescent",
    "music": "note music-note song", "mute": "silent volume-off", "palette": "color colors art",
    "paperclip": "attachment clip", "pencil": "edit pen write", "phone": "call telephone",
    "pill": "medicine capsule medication", "pin": "location map-pin place marker",
    "plane": "airplane flight travel airport", "plus": "add new", "power": "power-button shutdown",
    "printer": "print", "pulse": "heartbeat activity ecg", "puzzle": "puzzle-piece extension plugin",
    "question": "help question-mark faq", "quote": "quotation quotes", "rain": "rainy", "refresh": "reload sync",
    "robot": "bot ai android", "rocket": "startup launch spaceship", "sad": "frown unhappy",
    "save": "floppy-disk diskette", "scissors": "cut", "search": "magnifier magnifying-glass find zoom",
    "send": "paper-plane", "server": "hosting", "settings": "gear cog preferences", "shield": "security protection",
    "ship": "boat sailboat sailing", "sliders": "equalizer adjustments options", "smile": "happy smiley face",
    "snowflake": "snow winter cold frost", "sparkles": "sparkle magic shine", "star": "favourite rating",
    "store": "shop storefront market", "sun": "sunny day brightness light-mode summer",
    "tag": "label price-tag price", "target": "goal bullseye aim", "thermometer": "temperature",
    "thumbs-down": "dislike thumb-down", "thumbs-up": "thumb-up good", "train": "subway tram metro railway",
    "trash": "bin delete trash-can garbage", "tree": "forest park pine", "trophy": "cup-trophy winner",
    "truck": "delivery shipping lorry", "unlock": "unlocked open-lock", "user": "person account profile avatar",
    "users": "group people team community", "video": "video-camera camcorder", "volume": "sound speaker audio",
    "wand": "magic-wand", "warning": "caution danger", "watch": "smartwatch wristwatch", "wifi": "wireless",
    "wrench": "spanner tool",
}  # fmt: skip

ALIASES: Final = {alias: concept for concept, names in _OTHER_NAMES.items() for alias in names.split()}
"""Other names of concepts: {"label": "house"} means home."""

NEUTRAL: Final = "neutral"
"""The hue of black, greys and white."""


class Style(StrEnum):
    """How a symbol is drawn: the first two are for icons, the others for letters."""

    SOLID = "solid"
    OUTLINE = "outline"
    SANS = "sans"
    SERIF = "serif"
    SLAB = "slab"
    SCRIPT = "script"
    DISPLAY = "display"


class Tile(StrEnum):
    """The ground behind a glyph; everything outside it is white."""

    CIRCLE = "circle"
    ROUNDED = "rounded"
    SQUARE = "square"
    NONE = "none"


class Family(IntEnum):
    """What an image shows."""

    ICONS = 0
    LETTERS = 1


FAMILIES: Final = tuple(family.name.lower() for family in Family)
"""Names by family id: icons, letters."""

LABEL: Final = Control(
    name="label",
    values=(*MONOGRAMS, *CONCEPTS),
    aliases={letter.lower(): letter for letter in MONOGRAMS if letter.isalpha()} | ALIASES,
)
STYLE: Final = Control(name="style", values=tuple(style.value for style in Style))
HUE: Final = Control(
    name="hue",
    values=(
        "red", "orange", "yellow", "lime", "green", "teal", "sky", "blue", "violet", "magenta", "pink", "brown", NEUTRAL,
    ),
)  # fmt: skip
TILE: Final = Control(name="tile", values=tuple(tile.value for tile in Tile))

CONTROLS: Final = (LABEL, STYLE, HUE, TILE)
"""The controls of every symbols model, in the order of the columns of a batch."""

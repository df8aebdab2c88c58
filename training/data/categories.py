"""The subject of an icon, from its name and from what its package says about it."""

from __future__ import annotations

import re
from typing import Final

from training.data.vocabulary import UNCATEGORISED

_WORDS: Final = {
    "animal": (
        "cat dog bird fish horse cow pig rabbit turtle snake bee bug spider butterfly elephant owl duck kangaroo "
        "koala panda penguin sheep unicorn dolphin shark jellyfish dinosaur bat bone paw rodent donkey snail "
        "ladybug feather shrimp"
    ),
    "arrow": "arrow arrows chevron caret swap undo redo",
    "weather": (
        "weather sun moon cloud cloudy clouds rain snow snowflake wind lightning thermometer rainbow tornado "
        "hurricane thunderstorm umbrella cloudrain sunny drizzle fog haze"
    ),
    "food": (
        "food pizza hamburger coffee cup beer bread cake cookie egg fruit carrot ice cherry cherries apple candy "
        "pepper bowl fork knife spoon wine glass bottle taco popcorn cheese sausage mug tea orange avocado grain "
        "cupcake lemon melon meat salad soup"
    ),
    "music": (
        "music guitar piano violin trumpet saxophone metronome note vinyl playlist microphone drum headphones equalizer"
    ),
    "vehicle": (
        "car truck bus train tram plane airplane bike bicycle motorbike motorcycle scooter boat ship ferry rocket "
        "taxi van helicopter tractor forklift submarine sailboat airballoon drone ambulance firetruck caravan jeep "
        "subway ev moped"
    ),
    "sport": (
        "basketball football soccer tennis volleyball baseball golf hockey bowling ski skateboard swim barbell "
        "dumbbell trophy rugby cricket karate billiards sneaker yoga boxing medal"
    ),
    "game": "dice chess cards gamepad controller puzzle ghost sword pokeball joystick nintendo cube axe castle",
    "people": (
        "account person people user users human face emoji emoticon mood smiley baby hand hands fingerprint man woman"
    ),
    "chat": "chat message messages email mail envelope phone comment forum bell at inbox send telephone chats",
    "document": (
        "file files folder folders book books notebook document notes clipboard journal bookmark news newspaper "
        "archive article paperclip page pages"
    ),
    "time": "clock calendar timer alarm hourglass watch stopwatch history event",
    "security": "lock key shield security password safe incognito unlock detective keyhole",
    "money": "cash currency credit bank coin coins wallet piggy money bitcoin receipt invoice dollar",
    "shopping": "cart shopping basket store gift tag tags bag barcode sale shop handbag tote",
    "health": (
        "hospital medical pill pills syringe stethoscope bandage tooth needle pulse heartbeat virus brain lungs "
        "medicine prescription first dna stomach wheelchair capsule"
    ),
    "nature": (
        "tree flower leaf plant mountain forest sprout cactus flame fire water waves palm seed mushroom clover "
        "campfire acorn earth"
    ),
    "media": (
        "camera video play pause stop skip film movie image images photo filmstrip record television youtube fast "
        "rewind player cast volume speaker aspect projector screencast"
    ),
    "device": (
        "laptop monitor desktop tablet cellphone cpu keyboard mouse printer router server usb memory sd battery "
        "network wifi bluetooth database devices computer harddisk floppy hdd pc ssd nas signal"
    ),
    "chart": (
        "chart graph calculator percent sigma poll finance function math pi plus minus infinity trend kanban diagram"
    ),
    "map": "map compass flag navigation globe location pin signpost route directions crosshairs sign gps",
    "tool": (
        "wrench hammer screwdriver saw tool tools cog cogs gear toolbox ladder nut shovel pickaxe anvil pliers "
        "drill plug crane scissors"
    ),
    "design": (
        "palette brush pencil pen paint eraser ruler format vector layers crop shapes eyedropper select selection "
        "border align spray draw marker highlighter bezier"
    ),
    "code": "code git terminal language api webhook braces console robot regex xml application",
    "home": (
        "home house door sofa bed lamp lightbulb fridge washing chair table window toilet shower bathtub garage fan "
        "radiator curtains blinds fireplace couch stove microwave bulb building buildings office warehouse factory "
        "church tent mosque city oven"
    ),
    "shape": (
        "circle square triangle hexagon octagon pentagon star heart rectangle rhombus diamond decagram polygon "
        "shape octagram hexagram ellipse seal sphere cylinder cone pyramid oval"
    ),
}
_BY_WORD: Final = {word: category for category, words in _WORDS.items() for word in words.split()}

_BY_TAG: Final = {
    "Animal": "animal", "Animals": "animal", "Weather": "weather", "weather": "weather", "weather & nature": "nature",
    "Food / Drink": "food", "Food": "food", "Music": "music", "Audio": "media", "Automotive": "vehicle", "Vehicles": "vehicle",
    "Transportation + Road": "vehicle", "Transportation + Other": "vehicle", "Transportation + Flying": "vehicle",
    "Transportation + Water": "vehicle", "Sport": "sport", "Gaming / RPG": "game", "Games": "game", "games": "game",
    "Account / User": "people", "People / Family": "people", "Emoji": "people", "Mood": "people", "people": "people",
    "Clothing": "shopping", "Medical / Hospital": "health", "Health": "health", "health & wellness": "health",
    "Health / Beauty": "health", "Agriculture": "nature", "Nature": "nature", "nature": "nature",
    "Lock": "security", "security & warnings": "security", "Date / Time": "time", "time": "time", "Battery": "device",
    "Banking": "money", "Currency": "money", "math & finance": "money", "finances": "money", "Shopping": "shopping",
    "E-commerce": "shopping", "commerce": "shopping", "Cellphone / Phone": "chat", "Notification": "chat",
    "Communication": "chat", "communication": "chat", "communications": "chat", "Files / Folders": "document",
    "Document": "document", "Printer": "device", "Database": "device", "Device / Tech": "device", "Devices": "device",
    "Computers": "device", "system & devices": "device", "Photography": "media", "Video / Movie": "media", "Media": "media",
    "media": "media", "Science": "health", "Math": "chart", "Charts": "chart", "Geographic Information System": "map",
    "Navigation": "map", "Map": "map", "maps & travel": "map", "Places": "home", "Buildings": "home", "Settings": "tool",
    "Hardware / Tools": "tool", "Developer / Languages": "code", "Development": "code", "technology & development": "code",
    "Drawing / Art": "design", "Design": "design", "design": "design", "Text / Content / Format": "design",
    "editor": "design", "Shape": "shape", "Shapes": "shape", "Arrow": "arrow", "Arrows": "arrow", "arrows": "arrow",
    "Home Automation": "home", "office": "document", "office & editing": "document",
}  # fmt: skip


def category(name: str, tags: tuple[str, ...] = ()) -> str:
    """The label of the icon called `name`, e.g. "arrow-up-bold"; "icon" if neither name nor tags tell."""
    first, *rest = re.split(r"[-_]", name)
    by_tag = (_BY_TAG[tag] for tag in tags if tag in _BY_TAG)
    by_later_word = (_BY_WORD[word] for word in rest if word in _BY_WORD)
    return _BY_WORD.get(first) or next(by_tag, None) or next(by_later_word, UNCATEGORISED)

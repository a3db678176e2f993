"""The words of the demo home: devices, rooms, colours, scenes; a canonical name, then how people say it.

Knows nothing about sentences.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

Words: TypeAlias = Mapping[str, tuple[str, ...]]

LIGHTS: Words = {
    "light": ("light", "lights"),
    "lamp": ("lamp", "lamps"),
    "ceiling_light": ("ceiling light", "overhead light"),
    "floor_lamp": ("floor lamp", "standing lamp"),
    "desk_lamp": ("desk lamp", "table lamp"),
    "led_strip": ("led strip", "light strip"),
}
APPLIANCES: Words = {
    "fan": ("fan", "ventilator"),
    "tv": ("tv", "television", "telly"),
    "coffee_maker": ("coffee maker", "coffee machine"),
    "kettle": ("kettle",),
    "dishwasher": ("dishwasher",),
    "washing_machine": ("washing machine", "washer"),
    "vacuum": ("vacuum", "robot vacuum", "vacuum cleaner"),
    "humidifier": ("humidifier",),
    "air_purifier": ("air purifier", "air cleaner"),
    "plug": ("plug", "socket", "outlet"),
}
CLIMATE: Words = {
    "thermostat": ("thermostat", "heating"),
    "ac": ("ac", "air conditioner", "air conditioning", "aircon"),
    "heater": ("heater", "radiator"),
}
OVEN: Words = {"oven": ("oven",)}
SPEAKERS: Words = {"speaker": ("speaker", "speakers", "stereo")}
PLAYERS: Words = {**SPEAKERS, "tv": APPLIANCES["tv"]}
COVERS: Words = {
    "blinds": ("blinds", "blind"),
    "curtains": ("curtains", "drapes"),
    "shutters": ("shutters", "shutter"),
    "window": ("window", "windows"),
    "awning": ("awning",),
    "garage_door": ("garage door",),
    "gate": ("gate", "driveway gate"),
}
LOCKS: Words = {
    "front_door": ("front door", "main door"),
    "back_door": ("back door", "rear door"),
    "side_door": ("side door",),
    "garage_door": COVERS["garage_door"],
    "gate": COVERS["gate"],
    "door": ("door",),
}
SWITCHES: Words = {**LIGHTS, **APPLIANCES, **CLIMATE, **OVEN, **SPEAKERS}
CLOSABLE: Words = {**COVERS, **LOCKS}

# These stand in one place of the house, so nobody names a room with them.
ROOMLESS = frozenset({"garage_door", "gate", "front_door", "back_door", "side_door", "oven"})

ROOMS: Words = {
    "kitchen": ("kitchen",),
    "living_room": ("living room", "lounge"),
    "bedroom": ("bedroom",),
    "bathroom": ("bathroom",),
    "office": ("office", "study"),
    "hallway": ("hallway", "hall"),
    "garage": ("garage",),
    "basement": ("basement", "cellar"),
    "attic": ("attic", "loft"),
    "dining_room": ("dining room",),
    "nursery": ("nursery",),
    "guest_room": ("guest room", "spare room"),
    "laundry_room": ("laundry room",),
    "garden": ("garden", "backyard"),
    "balcony": ("balcony",),
}
COLORS: Words = {
    "red": ("red",),
    "green": ("green",),
    "blue": ("blue",),
    "yellow": ("yellow",),
    "orange": ("orange",),
    "purple": ("purple", "violet"),
    "pink": ("pink",),
    "white": ("white",),
    "warm_white": ("warm white", "soft white"),
    "cool_white": ("cool white", "cold white"),
    "turquoise": ("turquoise", "teal"),
}
GENRES: Words = {
    "jazz": ("jazz",),
    "rock": ("rock",),
    "classical": ("classical",),
    "pop": ("pop",),
    "hip_hop": ("hip hop", "rap"),
    "techno": ("techno",),
    "blues": ("blues",),
    "country": ("country",),
    "reggae": ("reggae",),
    "metal": ("metal", "heavy metal"),
    "folk": ("folk",),
    "ambient": ("ambient", "chillout"),
}
SCENES: Words = {
    "movie": ("movie", "cinema", "film"),
    "dinner": ("dinner", "supper"),
    "party": ("party",),
    "reading": ("reading",),
    "sleep": ("sleep", "bedtime", "night"),
    "morning": ("morning", "wake up"),
    "away": ("away", "vacation", "holiday"),
    "romantic": ("romantic", "date night"),
    "focus": ("focus", "work"),
}
TIMER_NAMES = (
    "pasta", "egg", "laundry", "pizza", "tea", "rice", "cake", "homework", "nap", "workout", "bread",
    "meeting",
)  # fmt: skip
UNKNOWN_DEVICES = (
    "volcano", "submarine", "spaceship", "elevator", "jacuzzi", "microwave", "fridge", "drone", "dragon",
    "helicopter", "rocket", "telescope", "sauna", "fountain", "piano", "printer", "laptop", "car", "bicycle",
    "boat", "chainsaw", "aquarium", "doorbell", "security camera", "escalator", "jukebox", "lawn mower",
    "hair dryer", "toaster", "freezer", "trampoline", "hot tub", "phone", "guitar", "swimming pool",
)  # fmt: skip
CITIES = ("paris", "london", "tokyo", "berlin", "madrid", "oslo", "chicago", "sydney", "cairo", "lima")
PEOPLE = ("my mother", "anna", "the doctor", "my boss", "grandpa", "tom", "the neighbours", "my sister")
FOODS = ("a pizza", "sushi", "two burgers", "some noodles", "a salad", "tacos", "ice cream", "curry")
TOPICS = ("cats", "the moon", "robots", "football", "dinosaurs", "the ocean", "history", "trains", "bees")
LANGUAGES = ("french", "spanish", "german", "japanese", "italian", "polish")

UNITS_OF_NUMBER = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS_OF_NUMBER = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def spelled(number: int) -> str:
    """A whole number from 0 to 199 in English words."""
    if number == 100:
        return "a hundred"
    if number > 100:
        return f"one hundred and {spelled(number - 100)}"
    if number < 20:
        return UNITS_OF_NUMBER[number]
    tens, unit = divmod(number, 10)
    return f"{TENS_OF_NUMBER[tens]} {UNITS_OF_NUMBER[unit]}" if unit else TENS_OF_NUMBER[tens]

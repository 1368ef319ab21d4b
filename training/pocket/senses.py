"""Words from outside the world and the nearest thing in it.

The tokenizer replaces them before it cuts a prompt into tokens, so `a lobster` is read as `a crab`: a clear picture of
something near instead of a blotch. No such word is one of the world's own (a test hears it).
"""

from __future__ import annotations

from tokenizers import Regex, normalizers
from words import COLOURS, SIZES, nouns, plural_of

SENSES: dict[str, str] = {
    "man": "astronaut cosmonaut knight soldier wizard pirate prince warrior ninja samurai hero superhero farmer "
    "doctor policeman fireman chef cook pilot sailor worker teacher father dad gentleman cowboy hunter "
    "artist painter singer musician dancer driver player athlete superman batman viking monk businessman "
    "engineer scientist person human someone king emperor fisherman diver surfer boxer guard thief clown magician "
    "miner baker butcher mechanic lawyer judge president sheriff gladiator archer barbarian pharaoh swimmer skier "
    "skateboarder hiker tourist",
    "woman": "witch nurse mother mom actress bride waitress mermaid goddess empress duchess maid geisha grandmother "
    "grandma aunt policewoman",
    "princess": "fairy elf angel ballerina",
    "boy": "child student schoolboy lad brother",
    "girl": "daughter sister schoolgirl maiden",
    "baby": "toddler newborn",
    "old man": "grandpa elder professor",
    "alien": "monster creature demon devil goblin orc zombie vampire",
    "ghost": "spirit phantom halloween",
    "robot": "cyborg terminator mech",
    "dinosaur": "raptor brontosaurus diplodocus",
    "dragon": "wyvern",
    "cat": "feline tabby siamese lynx",
    "dog": "husky poodle corgi labrador bulldog terrier retriever shepherd pug",
    "tiger": "panther puma jaguar",
    "bear": "grizzly raccoon badger beaver",
    "mouse": "hamster gerbil mole hedgehog",
    "horse": "stallion mare donkey mule foal",
    "cow": "bull ox buffalo bison yak calf",
    "deer": "moose elk reindeer antelope gazelle",
    "elephant": "mammoth rhino rhinoceros hippo hippopotamus",
    "monkey": "gorilla ape chimpanzee orangutan sloth",
    "turtle": "armadillo",
    "lizard": "chameleon iguana salamander",
    "snake": "cobra python worm eel",
    "bee": "wasp fly mosquito insect bug",
    "ladybug": "ant",
    "spider": "scorpion tarantula",
    "butterfly": "moth dragonfly",
    "eagle": "falcon vulture condor crow raven",
    "bird": "robin hummingbird seagull canary",
    "parrot": "toucan peacock macaw",
    "chicken": "turkey ostrich",
    "swan": "heron stork",
    "dolphin": "orca porpoise seal walrus",
    "fish": "salmon tuna goldfish koi",
    "octopus": "squid jellyfish",
    "crab": "lobster shrimp prawn",
    "cup of coffee": "tea espresso latte teacup teapot kettle cappuccino",
    "beer": "ale cocktail juice lemonade bottle",
    "glass of water": "milk jar",
    "hamburger": "sandwich cheeseburger",
    "pizza": "lasagna",
    "noodles": "soup spaghetti pasta bowl",
    "bread": "toast baguette",
    "birthday cake": "pie dessert tart",
    "donut": "bagel pancake waffle pretzel",
    "apple": "plum pomegranate",
    "lemon": "lime",
    "cherry": "berry blueberry raspberry cranberry",
    "tomato": "pepper",
    "tree": "oak birch willow bonsai bush shrub bamboo",
    "flower": "lily orchid daffodil bouquet lotus poppy lavender dandelion iris marigold carnation",
    "rose": "peony",
    "cactus": "aloe",
    "palm tree": "coconut island",
    "car": "taxi van jeep sedan suv cab vehicle",
    "sports car": "ferrari porsche lamborghini supercar",
    "bus": "tram trolley coach",
    "truck": "pickup trailer",
    "train": "subway metro railway wagon",
    "motorcycle": "scooter moped vespa",
    "bicycle": "tricycle unicycle",
    "tractor": "bulldozer excavator",
    "airplane": "airliner glider drone fighter",
    "rocket": "shuttle spacecraft missile",
    "ufo": "satellite",
    "sailboat": "canoe kayak yacht raft",
    "ship": "ferry submarine galleon battleship vessel",
    "house": "cottage cabin hut barn mansion farmhouse villa village bungalow shed garage",
    "castle": "fortress citadel temple kingdom",
    "church": "cathedral monastery mosque",
    "tower": "lighthouse skyscraper windmill eiffel",
    "volcano": "lava",
    "fire": "campfire bonfire explosion fireplace torch",
    "big wave": "tsunami waterfall",
    "star": "comet meteor",
    "planet": "jupiter mars",
    "earth": "map",
    "guitar": "violin cello banjo ukulele",
    "piano": "organ",
    "soccer ball": "volleyball",
    "trophy": "medal prize",
    "laptop": "monitor notebook typewriter desktop",
    "phone": "telephone tablet",
    "camera": "binoculars",
    "book": "novel dictionary bible newspaper",
    "pencil": "pen crayon brush",
    "light bulb": "chandelier",
    "kitchen knife": "sword dagger axe spear blade",
    "hammer": "tool",
    "chair": "stool throne bench",
    "sofa": "bed armchair",
    "door": "gate window",
    "gift box": "parcel package chest",
    "diamond": "crystal ruby",
    "ring": "bracelet necklace earring",
    "crown": "tiara",
    "coin": "money gold",
    "basket": "bucket",
    "t-shirt": "sweater jacket dress coat hoodie",
    "jeans": "shorts",
    "sneaker": "sandal slipper",
    "cap": "helmet beanie",
    "top hat": "fedora",
    "glasses": "sunglasses goggles",
    "handbag": "wallet",
    "backpack": "suitcase luggage",
    "teddy bear": "doll toy plush",
    "skull": "skeleton bones",
    "snowman": "yeti",
}
# Places from outside, which stand behind the same little words as the known one.
GROUNDS: dict[str, str] = {
    "forest": "jungle rainforest woodland grove swamp",
    "mountain": "hill valley canyon peak summit",
    "field": "savanna savannah prairie pasture countryside farm steppe",
    "garden": "yard backyard lawn orchard vineyard",
    "lake": "river pond lagoon harbor harbour",
    "beach": "shore seaside",
    "street": "avenue alley highway lane path trail",
    "city": "town metropolis downtown",
    "room": "bedroom office classroom library hall bathroom",
    "space": "orbit universe cosmos",
    "snow": "blizzard arctic antarctica glacier",
    "dusk": "twilight dawn",
}
CHINESE: dict[str, str] = {
    "男人": "宇航员 骑士 士兵 巫师 海盗 国王 王子 战士 忍者 武士 超人 农夫 医生 警察 消防员 厨师 飞行员 老师",
    "女人": "女巫 护士 妈妈 新娘 美人鱼",
    "公主": "王后 仙女 精灵 天使",
    "外星人": "怪物 恶魔 僵尸 吸血鬼",
    "狗": "哈士奇 柯基 拉布拉多 斗牛犬",
    "马": "驴 骡子",
    "鸟": "乌鸦 麻雀 海鸥",
    "老鹰": "猎鹰 秃鹫",
    "螃蟹": "龙虾 大虾",
    "蜜蜂": "苍蝇 蚊子 黄蜂",
    "吉他": "小提琴 大提琴",
    "铁塔": "灯塔 摩天大楼 风车",
    "房子": "小屋 别墅 农舍",
    "汽车": "出租车 面包车 吉普车",
    "摩托车": "电动车",
    "帆船": "独木舟 游艇 木筏",
    "刀": "宝剑 斧头",
    "树": "柳树 橡树",
    "花": "百合 荷花 牡丹",
}
OF_ONE = ("a", "an", "the", "my", "his", "her")
RIDING = r"\b(?:riding|sitting on|standing on)\b"


def english_senses() -> dict[str, str]:
    """Every outside word, one and many, and what it is read as."""
    found = {}
    for noun, words in SENSES.items():
        one, many = nouns()[noun].english[0]
        for word in words.split():
            found[plural_of(word)] = many
            found[word] = one
    for place, words in GROUNDS.items():
        found |= {form: place for word in words.split() for form in (plural_of(word), word)}
    return found


def reading() -> normalizers.Sequence:
    """What a tokenizer does to a lower-case prompt before it looks for tokens."""
    by_sense: dict[str, list[str]] = {}
    for word, sense in english_senses().items():
        by_sense.setdefault(sense, []).append(word)
    steps = [normalizers.Replace(Regex(rf"\b(?:{'|'.join(words)})\b"), sense) for sense, words in by_sense.items()]
    steps += [normalizers.Replace(Regex("|".join(words.split())), sense) for sense, words in CHINESE.items()]
    between = [*OF_ONE, *(name for table in (COLOURS, SIZES) for row in table.values() for name in row[-2])]
    things = [name for noun in nouns().values() for name, _ in noun.english]
    on = rf"\bon(?= (?:(?:{'|'.join(between)}) )*(?:{'|'.join(things)})\b)"
    return normalizers.Sequence([*steps, *(normalizers.Replace(Regex(one), "on top of") for one in (RIDING, on))])

"""The words of the pocket model's world: nouns, colours, places, styles and the words people use for them.

Everything is data: one line a noun (`glyph | english names | chinese names`), parsed once on first use.
Synonyms share a line, so that they share a picture. `natural colour` is measured, not written (see draw.py).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

# One section a category; the category decides which measure word Chinese uses and where a thing is usually seen.
# An irregular plural is written `mouse>mice`. The first English name is the noun's key.
NOUN_TABLE = """
# fruit
🍎 | apple | 苹果
🍐 | pear | 梨, 梨子
🍊 | orange fruit, tangerine, mandarin | 橙子, 橘子
🍋 | lemon | 柠檬
🍌 | banana | 香蕉
🍉 | watermelon, melon slice | 西瓜
🍇 | grapes>grapes, grape | 葡萄
🍓 | strawberry>strawberries | 草莓
🍒 | cherry>cherries | 樱桃
🍑 | peach>peaches | 桃子, 桃
🍍 | pineapple | 菠萝
🥑 | avocado | 牛油果
# food
🍅 | tomato>tomatoes | 番茄, 西红柿
🍆 | eggplant, aubergine | 茄子
🥕 | carrot | 胡萝卜
🌽 | corn>corn, maize>maize | 玉米
🥦 | broccoli>broccoli | 西兰花
🍄 | mushroom, toadstool | 蘑菇
🥚 | egg | 鸡蛋
🍞 | bread>bread, loaf>loaves | 面包
🥐 | croissant | 牛角包
🧀 | cheese>cheese | 奶酪
🍔 | hamburger, burger | 汉堡
🍟 | french fries>french fries, fries>fries | 薯条
🍕 | pizza | 披萨
🌭 | hot dog | 热狗
🍜 | noodles>noodles, ramen>ramen | 面条
🍣 | sushi>sushi | 寿司
🍩 | donut, doughnut | 甜甜圈
🍪 | cookie, biscuit | 饼干
🎂 | birthday cake, cake | 生日蛋糕, 蛋糕
🧁 | cupcake, muffin | 纸杯蛋糕
🍫 | chocolate bar, chocolate | 巧克力
🍭 | lollipop | 棒棒糖
🍦 | ice cream>ice creams, ice cream cone | 冰淇淋
# drink
🥛 | glass of water>glasses of water, water glass>water glasses | 水杯
☕ | cup of coffee>cups of coffee, coffee>coffees, coffee cup, cup | 咖啡, 杯子
🍷 | wine glass>wine glasses, glass of wine>glasses of wine, wine>wine | 葡萄酒, 红酒
🍺 | beer, mug of beer>mugs of beer, mug | 啤酒
# animal
🐈 | cat, kitty>kitties, kitten | 猫, 小猫, 猫咪
🐕 | dog, puppy>puppies, hound | 狗, 小狗
🐁 | mouse>mice, rat | 老鼠
🐇 | rabbit, bunny>bunnies, hare | 兔子
🐿 | squirrel, chipmunk | 松鼠
🐻 | bear | 熊
🐼 | panda | 熊猫
🐨 | koala | 考拉
🦁 | lion | 狮子
🐅 | tiger | 老虎
🐆 | leopard, cheetah | 豹子
🦊 | fox>foxes | 狐狸
🐺 | wolf>wolves | 狼
🐄 | cow, cattle>cattle | 奶牛, 牛
🐖 | pig, piglet, hog | 猪
🐑 | sheep>sheep, lamb | 绵羊, 羊
🐐 | goat | 山羊
🐎 | horse, pony>ponies | 马
🦓 | zebra | 斑马
🦌 | deer>deer, stag | 鹿
🐪 | camel | 骆驼
🦒 | giraffe | 长颈鹿
🐘 | elephant | 大象
🐒 | monkey | 猴子
🦘 | kangaroo | 袋鼠
🐸 | frog, toad | 青蛙
🐊 | crocodile, alligator | 鳄鱼
🐢 | turtle, tortoise | 乌龟
🦎 | lizard, gecko | 蜥蜴
🐍 | snake, serpent | 蛇
🐉 | dragon | 龙
🦕 | dinosaur | 恐龙
🦄 | unicorn | 独角兽
🐌 | snail | 蜗牛
🦋 | butterfly>butterflies | 蝴蝶
🐝 | bee, honeybee | 蜜蜂
🐞 | ladybug, ladybird, beetle | 瓢虫
🕷 | spider | 蜘蛛
# bird
🐦 | bird, sparrow | 鸟, 小鸟
🦅 | eagle, hawk | 老鹰
🦉 | owl | 猫头鹰
🦜 | parrot | 鹦鹉
🐔 | chicken, hen | 母鸡, 鸡
🐓 | rooster, cock | 公鸡
🐤 | chick, baby chick | 小鸡
🦆 | duck, duckling | 鸭子
🦢 | swan, goose>geese | 天鹅
🐧 | penguin | 企鹅
🦩 | flamingo | 火烈鸟
🕊 | dove, pigeon | 鸽子
🦇 | bat | 蝙蝠
# sea
🐟 | fish>fish, trout>trout | 鱼
🐠 | tropical fish>tropical fish, clownfish>clownfish | 热带鱼
🦈 | shark | 鲨鱼
🐬 | dolphin | 海豚
🐳 | whale | 鲸鱼
🐙 | octopus>octopuses | 章鱼
🦀 | crab | 螃蟹
# plant
🌳 | tree | 树, 大树
🌲 | pine tree, pine, fir | 松树
🌴 | palm tree, palm | 棕榈树
🌵 | cactus>cacti | 仙人掌
🌷 | tulip | 郁金香
🌹 | rose | 玫瑰
🌻 | sunflower | 向日葵
🌼 | flower, daisy>daisies, blossom | 花, 花朵, 雏菊
🌸 | cherry blossom, sakura>sakura | 樱花
🍀 | clover, four leaf clover | 四叶草
🍁 | maple leaf>maple leaves, leaf>leaves | 枫叶, 叶子
# vehicle
🚗 | car, automobile | 汽车, 小汽车, 车
🏎 | sports car, race car, racing car | 跑车, 赛车
🚌 | bus>buses | 公交车, 巴士
🚓 | police car | 警车
🚒 | fire truck, fire engine | 消防车
🚚 | truck, lorry>lorries | 卡车
🚜 | tractor | 拖拉机
🚲 | bicycle, bike | 自行车
🏍 | motorcycle, motorbike | 摩托车
🚂 | train, locomotive | 火车
# flyer
✈ | airplane, plane, aeroplane, jet | 飞机
🚁 | helicopter | 直升机
🚀 | rocket, spaceship | 火箭
🛸 | ufo, flying saucer | 飞碟
🎈 | balloon | 气球
🪁 | kite | 风筝
# boat
⛵ | sailboat, sailing boat, boat | 帆船, 小船
🚢 | ship, cruise ship | 轮船
# building
🏠 | house, home | 房子
🏰 | castle, palace | 城堡
⛪ | church>churches, chapel | 教堂
⛩ | shrine, torii | 鸟居
🗼 | tower | 铁塔, 塔
⛺ | tent | 帐篷
🌋 | volcano>volcanoes | 火山
# sky
☀ | sun | 太阳
🌙 | moon, crescent moon, crescent | 月亮
🌕 | full moon | 满月
⭐ | star | 星星
☁ | cloud | 云, 云朵
🌈 | rainbow | 彩虹
❄ | snowflake | 雪花
⚡ | lightning bolt, lightning>lightning, thunderbolt | 闪电
🔥 | fire, flame | 火, 火焰
💧 | water drop, droplet, raindrop | 水滴
🌊 | big wave, wave | 海浪
🌍 | earth, globe | 地球
🪐 | planet, saturn | 行星, 土星
⛄ | snowman>snowmen | 雪人
# sport
⚽ | soccer ball, football, ball | 足球, 球
🏀 | basketball | 篮球
🏈 | american football, rugby ball | 橄榄球
🎾 | tennis racket, tennis ball | 网球拍, 网球
🏆 | trophy>trophies | 奖杯
# music
🎸 | guitar | 吉他
🥁 | drum | 鼓
🎹 | piano, keyboard | 钢琴
🎤 | microphone | 麦克风
🎧 | headphones>headphones | 耳机
🔔 | bell | 铃铛
# thing
📱 | phone, smartphone, mobile phone | 手机
💻 | laptop, computer | 电脑, 笔记本电脑
⌚ | watch>watches, wristwatch>wristwatches | 手表
⏰ | alarm clock, clock | 闹钟
📷 | camera | 相机
📺 | television, tv | 电视
💡 | light bulb, lamp, bulb | 灯泡, 灯
🕯 | candle | 蜡烛
📕 | book | 书
✏ | pencil | 铅笔
✂ | scissors>scissors | 剪刀
🔑 | key | 钥匙
🔒 | lock, padlock | 锁
🔨 | hammer | 锤子
🔧 | wrench>wrenches, spanner | 扳手
🧸 | teddy bear, teddy>teddies | 泰迪熊, 玩具熊
🎁 | gift box>gift boxes, gift, present | 礼物
🪑 | chair | 椅子
🛋 | sofa, couch>couches | 沙发
🚪 | door | 门
🧺 | basket | 篮子
🔪 | kitchen knife>kitchen knives, knife>knives | 刀
🏺 | vase, amphora | 花瓶
💎 | diamond, gem, jewel | 钻石, 宝石
💍 | ring, diamond ring | 戒指
👑 | crown | 皇冠
🪙 | coin | 硬币
⚓ | anchor | 锚
🎲 | die>dice | 骰子
🎨 | paint palette, palette | 调色板
🤖 | robot, android | 机器人
👻 | ghost | 幽灵
👽 | alien | 外星人
💀 | skull | 骷髅
🎃 | pumpkin, jack o lantern | 南瓜
🎄 | christmas tree | 圣诞树
❤ | heart, love heart | 心, 爱心
# clothing
👕 | t-shirt, shirt | 衬衫
👖 | jeans>jeans, trousers>trousers, pants>pants | 牛仔裤, 裤子
👟 | sneaker, shoe, running shoe | 运动鞋, 鞋子
👠 | high heel, high heeled shoe | 高跟鞋
👢 | boot | 靴子
🧢 | cap, baseball cap | 棒球帽
🎩 | top hat, hat | 礼帽, 帽子
👓 | glasses>glasses, eyeglasses>eyeglasses | 眼镜
👜 | handbag, purse | 手提包
🎒 | backpack, school bag | 书包, 背包
☂ | umbrella | 雨伞, 伞
# person
👦 | boy, kid | 男孩
👧 | girl | 女孩
👨 | man>men, guy | 男人
👩 | woman>women, lady>ladies | 女人
👶 | baby>babies, infant | 婴儿, 宝宝
👴 | old man>old men, grandfather | 老人, 爷爷
👸 | princess>princesses, queen | 公主
🎅 | santa claus>santa clauses, santa | 圣诞老人
"""

# name -> (red, green, blue) 0-255, English words, Chinese words (with 色 where people say it)
COLOURS: dict[str, tuple[tuple[int, int, int], tuple[str, ...], tuple[str, ...]]] = {
    "red": ((220, 36, 36), ("red", "scarlet", "crimson"), ("红色", "红")),
    "orange": ((248, 138, 24), ("orange", "ginger"), ("橙色", "橘色")),
    "yellow": ((250, 214, 30), ("yellow", "golden"), ("黄色", "黄", "金色")),
    "green": ((44, 160, 58), ("green", "emerald"), ("绿色", "绿")),
    "cyan": ((38, 198, 208), ("cyan", "turquoise", "teal"), ("青色",)),
    "blue": ((34, 92, 224), ("blue", "navy"), ("蓝色", "蓝")),
    "purple": ((134, 52, 190), ("purple", "violet"), ("紫色", "紫")),
    "pink": ((250, 130, 180), ("pink", "rosy"), ("粉色", "粉红色")),
    "brown": ((132, 80, 42), ("brown", "chestnut"), ("棕色", "褐色")),
    "black": ((34, 34, 38), ("black",), ("黑色", "黑")),
    "white": ((244, 244, 242), ("white",), ("白色", "白")),
    "gray": ((138, 140, 146), ("gray", "grey", "silver"), ("灰色", "银色")),
}

# place -> English phrases, Chinese phrases. The drawing of each is backgrounds.py.
PLACES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "sky": (
        ("in the sky", "flying in the sky", "in the blue sky", "against the sky", "up in the clouds"),
        ("在天空中", "在天上", "在蓝天上"),
    ),
    "night": (
        ("at night", "in the night sky", "under the stars", "in the moonlight", "on a starry night", "under the moon"),
        ("在夜空中", "在夜晚", "在月光下", "在星空下"),
    ),
    "city": (
        (
            "in a city at night",
            "in the city",
            "in front of a city skyline",
            "in a futuristic city",
            "in a neon city at night",
        ),
        ("在城市里", "在夜晚的城市", "在霓虹城市"),
    ),
    "street": (
        ("on the street", "on a road", "driving on the road", "in the street", "on a city street"),
        ("在街道上", "在路上", "在马路上"),
    ),
    "garden": (
        ("in a garden", "in the park", "in a garden with cherry blossoms", "among flowers"),
        ("在花园里", "在公园里", "在樱花园里"),
    ),
    "beach": (("on the beach", "at the beach", "on the sand", "by the sea"), ("在沙滩上", "在海滩上", "在海边")),
    "sea": (
        ("in the sea", "on the water", "in the ocean", "on the ocean", "on a lake"),
        ("在海上", "在大海里", "在湖上"),
    ),
    "underwater": (
        ("underwater", "swimming in the sea", "under the sea", "swimming underwater"),
        ("在水下", "在海底", "在水里游泳"),
    ),
    "mountains": (
        ("in the mountains", "in front of mountains", "on a mountain", "with mountains behind"),
        ("在山上", "在山里", "在山前"),
    ),
    "snow": (("in the snow", "in winter", "on snow", "in a snowy landscape"), ("在雪地里", "在雪中", "在冬天")),
    "forest": (("in a forest", "in the woods", "in the forest", "among trees"), ("在森林里", "在树林里")),
    "desert": (("in the desert", "in a desert", "on a sand dune"), ("在沙漠里", "在沙漠中")),
    "space": (("in space", "in outer space", "among the planets", "in the galaxy"), ("在太空中", "在宇宙里")),
    "room": (("in a room", "in the living room", "indoors", "at home", "on the floor"), ("在房间里", "在客厅里")),
    "table": (("on a table", "on the table", "on a wooden table", "on a desk"), ("在桌子上", "在桌上", "在木桌上")),
    "field": (("on the grass", "in a field", "in a meadow", "on a green field"), ("在草地上", "在田野里", "在草原上")),
    "sunset": (("at sunset", "in front of a sunset", "at dusk", "at sunrise"), ("在夕阳下", "在日落时", "在黄昏")),
    "rain": (("in the rain", "on a rainy day", "under rain"), ("在雨中", "在雨天")),
}

# style -> English phrases ({} is the rest of the caption), Chinese phrases
STYLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "watercolor": (
        ("a watercolor painting of {}", "{}, watercolor", "{}, watercolour style", "watercolor of {}"),
        ("{}，水彩画", "水彩画，{}", "水彩风格，{}"),
    ),
    "pixel": (
        ("pixel art of {}", "{}, pixel art", "{}, 8-bit style", "a pixel art picture of {}"),
        ("{}，像素画", "像素风格，{}"),
    ),
    "sketch": (
        ("a pencil sketch of {}", "{}, pencil drawing", "{}, sketch", "a black and white drawing of {}"),
        ("{}，铅笔素描", "素描，{}"),
    ),
    "neon": (
        ("a neon picture of {}", "{}, neon", "{}, cyberpunk style", "{}, neon lights"),
        ("{}，霓虹风格", "赛博朋克风格，{}"),
    ),
    "digital": (
        ("{}, digital art style", "a digital art piece of {}", "{}, digital art", "digital painting of {}"),
        ("{}，数字艺术", "数字艺术风格，{}"),
    ),
    "photo": (
        ("a photo of {}", "{}, photorealistic", "a photograph of {}", "{}, realistic photo"),
        ("{}，照片", "{}的照片", "写实风格，{}"),
    ),
}

# quality -> English, Chinese. "good" leaves the picture alone; the others spoil it, so that a negative prompt works.
QUALITIES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "good": (
        (
            "high quality, detailed",
            "high quality",
            "detailed",
            "sharp, best quality",
            "highly detailed, 4k",
            "masterpiece, sharp focus",
            "beautiful",
        ),
        ("高质量", "高清，细节丰富", "精美"),
    ),
    "blurry": (("blurry", "blurred", "out of focus", "blurry, low quality"), ("模糊", "模糊，低质量")),
    "low": (
        ("low quality", "bad quality, noisy", "ugly, low quality", "worst quality", "jpeg artifacts, grainy"),
        ("低质量", "劣质，噪点"),
    ),
    "watermark": (("watermark", "watermarked", "with a watermark", "text, watermark"), ("水印", "文字，水印")),
}
BAD_QUALITIES = ("blurry", "low", "watermark")

SIZES = {"small": (("small", "tiny", "little"), ("小", "小小的")), "big": (("big", "large", "huge"), ("大", "巨大的"))}
SIDES = {
    "left": (("on the left", "on the left side"), ("在左边", "在左侧")),
    "right": (("on the right", "on the right side"), ("在右边", "在右侧")),
    "top": (("at the top", "in the upper part"), ("在上方", "在上面")),
    "bottom": (("at the bottom", "in the lower part"), ("在下方", "在下面")),
}
COUNTS = {
    1: (("a", "one", "the", ""), ("一", "")),
    2: (("two", "2", "a pair of"), ("两", "2")),
    3: (("three", "3"), ("三", "3")),
    4: (("four", "4"), ("四", "4")),
}
# adjectives that change nothing in the picture, by category group, so that people may write as they speak
ADJECTIVES = {
    "animal": (("cute", "adorable", "happy", "fluffy", "lovely"), ("可爱的", "开心的")),
    "food": (("fresh", "delicious", "ripe", "tasty"), ("新鲜的", "美味的")),
    "other": (("beautiful", "nice", "old", "new", "shiny", "single"), ("漂亮的", "旧", "新的")),
}
ADJECTIVE_GROUP = {
    "animal": "animal",
    "bird": "animal",
    "sea": "animal",
    "person": "animal",
    "fruit": "food",
    "food": "food",
    "drink": "food",
}
MEASURES = {
    "animal": "只",
    "bird": "只",
    "sea": "条",
    "vehicle": "辆",
    "flyer": "架",
    "boat": "艘",
    "plant": "棵",
    "building": "座",
    "drink": "杯",
    "clothing": "件",
    "person": "个",
}


@dataclass(frozen=True)
class Noun:
    """One thing that can be drawn: `key` (first English name), its glyph and every name people call it."""

    key: str
    glyph: str
    category: str
    english: tuple[tuple[str, str], ...]  # (singular, plural) pairs, synonyms after the key
    chinese: tuple[str, ...]


def plural_of(name: str) -> str:
    """The regular English plural."""
    return name + ("es" if name.endswith(("s", "x", "ch", "sh")) else "s")


def _parse_names(cell: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for name in cell.split(","):
        one, _, many = name.strip().partition(">")
        pairs.append((one, many or plural_of(one)))
    return tuple(pairs)


@lru_cache(maxsize=1)
def nouns() -> dict[str, Noun]:
    """Every noun by its key, in the table's order."""
    table: dict[str, Noun] = {}
    category = ""
    for line in NOUN_TABLE.strip().splitlines():
        if line.startswith("#"):
            category = line[1:].strip()
            continue
        glyph, english, chinese = (cell.strip() for cell in line.split("|"))
        names = _parse_names(english)
        table[names[0][0]] = Noun(
            names[0][0], glyph, category, names, tuple(word.strip() for word in chinese.split(","))
        )
    return table


def held_out(noun: str, colour: str | None, backdrop: str | None) -> bool:
    """True for the one in ten object x colour x background compositions that training never sees."""
    if colour is None or backdrop is None:
        return False
    return hashlib.sha256(f"{noun}|{colour}|{backdrop}".encode()).digest()[0] % 10 == 0

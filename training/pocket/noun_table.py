"""The things of the pocket model's world: one line a noun, `glyph | english names | chinese names`.

Synonyms share a line, so that they share a picture.
"""

from __future__ import annotations

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

"""Words beyond the tables of words.py that the tokenizer keeps whole: what people put around the thing they ask for."""

from __future__ import annotations

EVERYDAY = """
with without and or of in on at to from by for the a an is are it its this that very some many few more most best
good bad small large tiny huge long short tall wide young old new modern ancient traditional beautiful pretty cute
funny scary dark bright light colorful vibrant warm cold soft sharp style view scene landscape portrait picture
image photo art artwork illustration background foreground front behind side near far inside outside looking sitting
standing walking running flying jumping sleeping eating drinking reading dancing holding wearing smiling dramatic
dangerous impressive awesome cinematic lighting detailed realistic professional studio coast south north england
strike storm cliffs cliff england high low shutter speed second golden hour backlit feet off ground ask anyone did
how felt magical fantasy epic morning evening summer winter spring autumn cozy vintage minimal
""".split()
CHINESE_WORDS = """
天空 天上 蓝天 白云 夜空 夜晚 月光 星空 城市 霓虹 霓虹灯 街道 马路 花园 公园 樱花园 沙滩 海滩 海边
大海 海上 海底 海洋 水下 水里 游泳 山上 山里 山前 雪山 山脉 雪地 雪景 冬天 森林 树林 沙漠 沙丘
太空 宇宙 银河 房间 客厅 桌子 桌上 木桌 草地 田野 草原 夕阳 日落 黄昏 雨中 雨天 下雨 背景 水彩画
水彩 像素 素描 铅笔 赛博朋克 数字艺术 照片 写实 风格 高质量 高清 细节丰富 精美 模糊 低质量 劣质 噪点
水印 文字 可爱 开心 新鲜 美味 漂亮 左边 左侧 右边 右侧 上方 上面 下方 下面 旁边 图片 未来 飞行
传统 日本 神秘 气氛 广角 视图 悬崖 风暴 跳舞 飞翔 宁静 巨大 小小
""".split()

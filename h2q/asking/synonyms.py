"""Other words for what people note about persons, pets and things, in English and Chinese.

Each line is one relation; ``when`` and ``where`` before a word tell two of them apart. A relation
that is not here is asked for by its own name or by the questions in ``wordings.json``.
"""

from collections.abc import Sequence

from h2q.asking.words import tokens

_SAME = """
job|work|works|working|profession|occupation|career|trade|living|employment|employed|工作|职业|职务|干什么|干啥|做什么|做啥|干哪行|谋生
employer|company|workplace|where work|where works|firm|公司|单位|雇主|在哪上班|在哪里上班|在哪工作|在哪里工作
birthday|birth date|date of birth|born|when born|bday|dob|birth|生日|出生日期|出生|生辰|哪天生|什么时候生|几号生
birth year|year of birth|year born|born|出生年份|哪年出生|哪一年出生|哪年生
birthplace|birth place|place of birth|where born|born|出生地|在哪出生|在哪里出生|哪里人|哪儿人
age|how old|old|年龄|岁数|几岁|多大|多少岁
address|where live|where lives|where living|lives|live|home|residence|street|地址|住址|住处|住哪|住在哪|住|家在哪
city|town|home town|hometown|where live|where lives|where living|lives|live|based|城市|住哪个城市|住在哪个城市|住|居住地|家乡|老家
country|nation|nationality|citizenship|国家|国籍|哪国人|哪国
phone|telephone|phone number|telephone number|mobile|mobile number|cell|cell phone|cellphone|tel|number|电话|电话号码|手机|手机号|手机号码|号码|联系方式|联系电话
email|e mail|mail|email address|mail address|邮箱|电子邮箱|邮件|电邮|邮件地址
password|passcode|pass|pw|pwd|pin|pin code|passphrase|code|密码|口令|通行码|解锁码
code|access code|door code|lock code|entry code|combination|pin|代码|门禁码|密码|开门码|编码
user name|username|login|account name|account|用户名|账号|帐号|登录名
spouse|wife|husband|married|partner|配偶|妻子|丈夫|老婆|老公|爱人|跟谁结婚|和谁结婚
wife|spouse|married|妻子|老婆|太太|媳妇
husband|spouse|married|丈夫|老公|先生
mother|mom|mum|mummy|母亲|妈妈|妈
father|dad|daddy|父亲|爸爸|爸
brother|sibling|兄弟|哥哥|弟弟
sister|sibling|姐妹|姐姐|妹妹
child|children|kid|kids|son|daughter|孩子|子女|儿子|女儿|小孩
friend|best friend|buddy|朋友|好友|好朋友
pet|pets|animal|宠物
dog|puppy|狗|小狗|狗狗
cat|kitten|猫|小猫|猫咪
breed|kind|品种
species|kind of animal|animal|物种|种类|什么动物|动物
owner|belong|belongs|owned|owns|主人|谁的|归谁|属于谁
colour|color|颜色|什么色
size|尺寸|尺码|大小
shoe size|鞋码|鞋号|穿多大的鞋|穿几码
height|tall|身高|多高
weight|weigh|weighs|heavy|体重|多重
price|cost|costs|much cost|价格|价钱|多少钱|售价|花费
rent|租金|房租
doctor|physician|gp|医生|大夫
vet|veterinarian|兽医
dentist|牙医
school|where study|studies|学校|在哪上学|在哪里上学|在哪读书|上哪个学校
teacher|taught by|老师|教师
language|speaks|speak|语言|说什么话|说什么语言
hobby|hobbies|pastime|interest|free time|spare time|爱好|兴趣|喜欢做什么|业余
favourite|favorite|likes best|like best|最喜欢|最爱
food|dish|meal|eat|eats|食物|菜|吃什么
drink|beverage|drinks|饮料|喝什么
allergy|allergic|allergies|过敏|过敏原|对什么过敏
blood type|blood group|血型
instrument|plays|play|乐器|演奏什么
sport|sports|运动
boss|manager|supervisor|上司|老板|经理|领导
colleague|coworker|同事
deadline|due|due date|when due|截止日期|截止时间|期限|什么时候截止|最后期限
date|day|when|日期|日子|哪天|哪一天|几号|什么时候|何时
time|when|hour|时间|几点|什么时候
start|begin|begins|starts|when start|开始|几点开始
opening hours|open|opens|opening|hours|when open|营业时间|开门时间|几点开门
location|place|where|where is|where kept|kept|spot|位置|地点|地方|放在哪|放在哪里|在哪|在哪里|哪里
room|房间|几号房
floor|楼层|几楼
licence plate|license plate|plate|plate number|number plate|registration|车牌|车牌号
serial number|serial|序列号|编号
size of shoes|shoe size|鞋码
author|writer|written by|wrote|作者|谁写的
founder|founded by|founded|创始人|创办人|谁创立
capital|capital city|首都|省会
currency|money|货币|钱
medicine|medication|drug|pill|药|药物|吃什么药
dose|dosage|剂量|吃多少
insurance|保险
bank|bank account|银行|开户行
website|site|url|web address|网址|网站
car|vehicle|drives|drive|车|汽车|开什么车
ring size|戒指尺寸|指围
wifi|wi fi|wireless|wlan|无线|无线网
nickname|short name|小名|昵称|外号|绰号
title|职称|头衔
"""
_GROUPS = [[tuple(tokens(one)) for one in line.split("|")] for line in _SAME.split("\n") if line]


def others(phrase: Sequence[str]) -> list[tuple[str, ...]]:
    """Phrases that mean what ``phrase`` (tokens) means: of each group of which it holds a member,
    with that member replaced by the others; a longer member of the phrase goes before a part."""
    phrase = tuple(phrase)
    found: dict[tuple[str, ...], None] = {}
    for length in range(len(phrase), 0, -1):
        for start in range(len(phrase) - length + 1):
            member = phrase[start : start + length]
            for group in _GROUPS:
                if member in group:
                    for other in group:
                        found[phrase[:start] + other + phrase[start + length :]] = None
        if found:  # "phone number" is not "phone" and "number"
            break
    found.pop(phrase, None)
    return list(found)

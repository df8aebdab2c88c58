"""The font families that letters are drawn from, by style, each with its weights and its pinned version."""

from __future__ import annotations

from typing import Final

from training.data.build.sources import Source
from training.data.vocabulary import Style

_FAMILIES: Final = {
    Style.SANS: """
        abel:400 acme:400 actor:400 afacad:400,700 alata:400 albert-sans:400,700,900 aldrich:400
        alegreya-sans:400,700 alumni-sans:400,700,900 amaranth:400,700 anton:400 antonio:400,700 archivo:400,700
        archivo-black:400 archivo-narrow:400,700 arimo:400,700 asap:400,700 assistant:400,700
        atkinson-hyperlegible:400,700 b612:400,700 bai-jamjuree:400,700 baloo-2:400,700 barlow:400,700
        barlow-condensed:400,700 be-vietnam-pro:400,700 bebas-neue:400 big-shoulders-display:400,700,900
        blinker:400,700 bricolage-grotesque:400,700 cabin:400,700 cairo:400,700 cantarell:400,700 carlito:400,700
        catamaran:400,700,900 chakra-petch:400,700 chivo:400,700,900 comfortaa:400,700 commissioner:400,700
        darker-grotesque:400,700 didact-gothic:400 dm-mono:400,500 dm-sans:400,700 dosis:400,700
        encode-sans:400,700,900 epilogue:400,700,900 exo-2:400,700 familjen-grotesk:400,700 figtree:400,700
        fira-code:400,700 fira-sans:400,700,900 fira-sans-condensed:400,700 fjalla-one:400 fredoka:400,700
        gabarito:400,700 geist-sans:400,700 golos-text:400,700 hanken-grotesk:400,700 heebo:400,700 hind:400,700
        host-grotesk:400,700 ibm-plex-mono:400,700 ibm-plex-sans:400,700 inconsolata:400,700,900
        instrument-sans:400,700 inter:400,700,900 jetbrains-mono:400,700 josefin-sans:400,700 jost:400,700
        jura:400,700 k2d:400,700 kanit:400,700 karla:400,700 khand:400,700 krona-one:400 kumbh-sans:400,700,900
        lato:400,700,900 league-gothic:400 league-spartan:400,700 lexend:400,700 libre-franklin:400,700
        manrope:400,700 marcellus:400 maven-pro:400,700 merriweather-sans:400,700 monda:400,700 montserrat:400,700
        mukta:400,700 mulish:400,700 noto-sans:400,700,900 nunito:400,700,900 nunito-sans:400,700 onest:400,700
        open-sans:400,700 oswald:400,700 outfit:400,700 overpass:400,700 oxygen:400,700 pathway-extreme:400,700
        paytone-one:400 play:400,700 plus-jakarta-sans:400,700 poppins:400,700,900 prompt:400,700 pt-sans:400,700
        pt-sans-narrow:400,700 public-sans:400,700 questrial:400 quicksand:400,700 radio-canada-big:400,700
        rajdhani:400,700 raleway:400,700 readex-pro:400,700 red-hat-display:400,700 red-hat-text:400,700
        roboto:400,700 roboto-condensed:400,700,900 roboto-mono:400,700 rubik:400,700 russo-one:400 saira:400,700,900
        saira-condensed:400,700 sarabun:400,700 schibsted-grotesk:400,700 sen:400,700 signika:400,700 sora:400,700
        source-code-pro:400,700 source-sans-3:400,700 space-grotesk:400,700 space-mono:400,700 spline-sans:400,700
        syne:400,700 tajawal:400,700 teko:400,700 tenor-sans:400 titillium-web:400,700 tomorrow:400,700
        unbounded:400,700 urbanist:400,700 varela:400 varela-round:400 work-sans:400,700,900
        yanone-kaffeesatz:400,700 yantramanav:400,700
        """,
    Style.SERIF: """
        abhaya-libre:400,800 abril-fatface:400 adamina:400 alegreya:400,800 alice:400 amiri:400,700 arsenal:400,700
        belleza:400 bodoni-moda:400,800 brawler:400,700 caladea:400,700 cardo:400,700 cinzel:400,800
        cormorant:400,700 cormorant-garamond:400,700 crimson-pro:400,800 crimson-text:400,700 dm-serif-display:400
        dm-serif-text:400 domine:400,700 eb-garamond:400,800 esteban:400 faustina:400,800 frank-ruhl-libre:400,800
        fraunces:400,800 gelasio:400,700 gentium-book-plus:400,700 gfs-didot:400 gloock:400 halant:400,700
        headland-one:400 ibm-plex-serif:400,700 im-fell-english:400 inknut-antiqua:400,800 instrument-serif:400
        libre-baskerville:400,700 libre-caslon-text:400,700 literata:400,800 lora:400,700 lustria:400 martel:400,800
        merriweather:400,800 newsreader:400,800 noto-serif:400,800 noto-serif-display:400,800 old-standard-tt:400,700
        ovo:400 petrona:400,800 philosopher:400,700 piazzolla:400,800 playfair:400,800 playfair-display:400,800
        poly:400 prata:400 pt-serif:400,700 quattrocento:400,700 rasa:400,700 rufina:400,700 sorts-mill-goudy:400
        source-serif-4:400,800 spectral:400,800 suez-one:400 taviraj:400,800 tinos:400,700 unna:400,700
        volkhov:400,700 vollkorn:400,800 yeseva-one:400 yrsa:400,700
        """,
    Style.SLAB: """
        aleo:400,700,900 alfa-slab-one:400 arbutus-slab:400 arvo:400,700 besley:400,700,900 bevan:400
        bitter:400,700,900 bree-serif:400 copse:400 courier-prime:400,700 coustard:400,900 crete-round:400 cutive:400
        enriqueta:400,700 glegoo:400,700 graduate:400 hepta-slab:400,700,900 holtwood-one-sc:400 inika:400,700
        josefin-slab:400,700 kameron:400,700 kreon:400,700 maitree:400,700 montagu-slab:400,700 noticia-text:400,700
        patua-one:400 podkova:400,700,800 pridi:400,700 roboto-serif:400,700,900 roboto-slab:400,700,900
        rokkitt:400,700,900 sanchez:400 scope-one:400 slabo-27px:400 solway:400,700,800 trocchi:400
        zilla-slab:400,700
        """,
    Style.SCRIPT: """
        alex-brush:400 allura:400 amatic-sc:400,700 annie-use-your-telescope:400 architects-daughter:400
        bad-script:400 balsamiq-sans:400,700 berkshire-swash:400 caveat:400,700 caveat-brush:400
        cedarville-cursive:400 chilanka:400 comic-neue:400,700 cookie:400 courgette:400 covered-by-your-grace:400
        damion:400 dancing-script:400,700 delicious-handrawn:400 delius:400 finger-paint:400 gloria-hallelujah:400
        gochi-hand:400 grand-hotel:400 grandstander:400,700 great-vibes:400 handlee:400 homemade-apple:400
        indie-flower:400 itim:400 kalam:400,700 kaushan-script:400 knewave:400 lobster:400 lobster-two:400,700
        mali:400,700 mansalva:400 marck-script:400 merienda:400,700 neucha:400 norican:400 oleo-script:400,700
        pacifico:400 pangolin:400 parisienne:400 patrick-hand:400 permanent-marker:400 playball:400
        playpen-sans:400,700 rancho:400 reenie-beanie:400 rock-salt:400 sacramento:400 satisfy:400 schoolbell:400
        shadows-into-light:400 shantell-sans:400,700 short-stack:400 sriracha:400 sue-ellen-francisco:400
        swanky-and-moo-moo:400 the-girl-next-door:400 yellowtail:400
        """,
    Style.DISPLAY: """
        anybody:400,800 audiowide:400 bangers:400 black-ops-one:400 bowlby-one-sc:400 bubblegum-sans:400 bungee:400
        calistoga:400 caprasimo:400 carter-one:400 changa-one:400 chewy:400 cinzel-decorative:400,700 coiny:400
        days-one:400 germania-one:400 goldman:400,700 iceberg:400 iceland:400 jockey-one:400 lalezar:400
        lemonada:400,700 lilita-one:400 londrina-solid:400,900 luckiest-guy:400 michroma:400 mouse-memoirs:400
        museomoderno:400,800 nova-square:400 orbitron:400,800 oxanium:400,800 passion-one:400,700 quantico:400,700
        rammetto-one:400 righteous:400 rowdies:400,700 rubik-mono-one:400 saira-stencil-one:400 share-tech:400
        shrikhand:400 sigmar-one:400 sniglet:400,800 special-elite:400 special-gothic-expanded-one:400 spicy-rice:400
        staatliches:400 syncopate:400,700 titan-one:400 zen-dots:400
        """,
}
"""Upright, legible and openly licensed families, as family:weights."""

_VERSION: Final = "5.3.0"
_OTHER_VERSIONS: Final = {
    "adamina": "5.2.7", "amaranth": "5.2.8", "calistoga": "5.2.7", "changa-one": "5.2.8", "copse": "5.2.8",
    "days-one": "5.2.7", "iceberg": "5.2.8", "iceland": "5.2.8", "jockey-one": "5.2.7", "k2d": "5.2.8",
    "mouse-memoirs": "5.2.7", "nova-square": "5.2.8", "onest": "5.3.1", "pathway-extreme": "5.0.12",
    "source-serif-4": "5.3.1",
}  # fmt: skip
_APACHE: Final = frozenset(
    {
        "chewy", "homemade-apple", "luckiest-guy", "permanent-marker", "rancho", "roboto-slab", "rock-salt",
        "satisfy", "schoolbell", "special-elite", "syncopate", "yellowtail",
    }
)  # fmt: skip
"""Families under Apache-2.0; all others are under OFL-1.1."""

HELD_OUT_FAMILIES: Final = frozenset(
    {
        "manrope", "work-sans", "exo-2", "barlow", "josefin-sans", "league-spartan", "red-hat-display",
        "yanone-kaffeesatz", "signika", "ibm-plex-mono", "maven-pro", "oxygen", "lora", "fraunces", "crimson-pro",
        "dm-serif-display", "cinzel", "vollkorn", "zilla-slab", "rokkitt", "bree-serif", "crete-round", "kreon",
        "kalam", "merienda", "patrick-hand", "gochi-hand", "lobster-two", "righteous", "lilita-one", "bungee",
        "staatliches", "black-ops-one", "orbitron",
    }
)  # fmt: skip
"""Families whose letters are all held out."""

STYLES: Final = {entry.partition(":")[0]: style for style, families in _FAMILIES.items() for entry in families.split()}
"""The style of each family."""

WEIGHTS: Final = {
    family: tuple(int(weight) for weight in weights.split(","))
    for families in _FAMILIES.values()
    for family, _, weights in (entry.partition(":") for entry in families.split())
}
"""The weights of each family."""

FONTS: Final = tuple(
    Source(
        package=f"@fontsource/{family}",
        version=_OTHER_VERSIONS.get(family, _VERSION),
        licence="Apache-2.0" if family in _APACHE else "OFL-1.1",
        credit=f"letters and digits, {style.value}",
    )
    for family, style in sorted(STYLES.items())
)
"""The packages of all families."""

"""Words for parts of the body in descriptions of studies, as the settings take them."""

HEAD_REGIONS = (
    *("BRAIN*", "HEAD*", "SKULL", "CRANI*", "NEURO*", "CEREB*", "CERVEAU", "ENCEPH*"),
    *("STEREOTA*", "GLIO*", "GBM", "PITUIT*", "HYPOPH*", "SELLA*", "CNS", "ZNS"),
    *("SCHADEL*", "SCHAEDEL*", "KOPF*", "HIRN*", "GEHIRN*", "CCT", "CMRT"),
    *("TETE", "CRAN*", "ENCEF*", "TESTA", "CABEZA", "CABECA", "HERSEN*", "HOOFD", "SCHEDEL"),
    *("HJARN*", "HUVUD*", "HODE*", "HJERNE*", "HOVED*", "GLOWA", "MOZG*", "BEYIN", "KRANI*"),
)
"""Words for the head in English, German, French, Italian, Spanish, Portuguese, Dutch, Swedish,
Norwegian, Danish, Polish and Turkish."""

OTHER_REGIONS = (
    *("*SPINE", "SPINAL*", "CERVICAL", "LUMBAR", "THORACIC", "NECK", "KNEE*", "HIP", "SHOULDER*"),
    *("ANKLE*", "FOOT", "WRIST*", "HAND", "ELBOW*", "ABDOM*", "LIVER", "PELVIS", "PROSTATE"),
    *("BREAST*", "CARDIAC", "HEART", "MRCP", "UTER*", "KIDNEY*", "RECTUM", "CHEST"),
    *("WIRBEL*", "HWS", "BWS", "LWS", "KNIE*", "HUFT*", "SCHULTER*", "SPRUNGGELENK", "FUSS"),
    *("BECKEN*", "PROSTATA", "LEBER*", "MAMMA*", "HERZ*", "HALS", "HANDGELENK", "ELLENBOGEN"),
    *("RACHIS", "GENOU*", "EPAULE*", "HANCHE*", "CHEVILLE", "FOIE", "BASSIN", "SEIN", "SEINS"),
    *("COEUR", "COLONNA", "RACHIDE", "GINOCCHIO", "SPALLA", "ANCA", "CAVIGLIA", "FEGATO", "CUORE"),
    *("COLUMNA", "RODILLA*", "HOMBRO*", "CADERA*", "TOBILLO", "HIGADO", "COLUNA", "JOELHO"),
    *("WERVEL*", "SCHOUDER*", "HEUP*", "ENKEL*", "RYGG*", "KNA", "AXEL", "HOFT*", "KNE"),
    *("KREGOSLUP*", "KOLANO", "OMURGA", "DIZ", "OMUZ"),
)
"""Words for other parts of the body in the same languages."""

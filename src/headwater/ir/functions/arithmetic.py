"""Operators and functions over numbers.

Functions that are approximated (``exp``, ``ln``, ``tanh``, …) are not said to be monotone: their
last digit may fall as the argument rises.
"""

from headwater.ir.functions.signature import FunctionKind, Signature, parse_table

# A symbol is followed by the word that begins its kernels' names.
_OPERATORS = """
+ add: int2,int2->int2 #550 {em}; int4,int4->int4 #551 {em}; int8,int8->int8 #684 {em};
    uint2,uint2->uint2 #16466 {em}; uint4,uint4->uint4 #16467 {em}; uint8,uint8->uint8 #16468 {em};
    float4,float4->float4 #586 {em}; float8,float8->float8 #591 {em};
    numeric,numeric->numeric #1758 {em}
+ pos: int2->int2 =identity; int4->int4 =identity; int8->int8 =identity; float4->float4 =identity;
    float8->float8 =identity; numeric->numeric =identity
- neg: int2->int2 #559 {e}; int4->int4 #558 {e}; int8->int8 #484 {e}; float4->float4 #584;
    float8->float8 #585; numeric->numeric #17510
- sub: int2,int2->int2 #556 {em1}; int4,int4->int4 #555 {em1}; int8,int8->int8 #685 {em1};
    uint2,uint2->uint2 #16469 {em1}; uint4,uint4->uint4 #16470 {em1};
    uint8,uint8->uint8 #16471 {em1}; float4,float4->float4 #587 {em1};
    float8,float8->float8 #592 {em1}; numeric,numeric->numeric #17590 {em1}
* mul: int2,int2->int2 #526 {e}; int4,int4->int4 #514 {e}; int8,int8->int8 #686 {e};
    uint2,uint2->uint2 #16472 {e}; uint4,uint4->uint4 #16473 {e}; uint8,uint8->uint8 #16474 {e};
    float4,float4->float4 #589 {e}; float8,float8->float8 #594 {e};
    numeric,numeric->numeric #1760 {e}
/ div: int2,int2->int2 #527 {e}; int4,int4->int4 #528 {e}; int8,int8->int8 #687 {e};
    uint2,uint2->uint2 #16475 {e}; uint4,uint4->uint4 #16476 {e}; uint8,uint8->uint8 #16477 {e};
    float4,float4->float4 #588 {e}; float8,float8->float8 #593 {e};
    numeric,numeric->numeric #1761 {e}
% mod: int2,int2->int2 #529 {e}; int4,int4->int4 #530 {e}; int8,int8->int8 #439 {e};
    uint2,uint2->uint2 #16478 {e}; uint4,uint4->uint4 #16479 {e}; uint8,uint8->uint8 #16480 {e};
    float4,float4->float4 #16431 {e}; float8,float8->float8 #16432 {e};
    numeric,numeric->numeric #1762 {e}
& bit_and: int2,int2->int2 #1874; int4,int4->int4 #1880; int8,int8->int8 #1886;
    uint2,uint2->uint2 #16481; uint4,uint4->uint4 #16482; uint8,uint8->uint8 #16483
| bit_or: int2,int2->int2 #1875; int4,int4->int4 #1881; int8,int8->int8 #1887;
    uint2,uint2->uint2 #16484; uint4,uint4->uint4 #16485; uint8,uint8->uint8 #16486
# bit_xor: int2,int2->int2 #1876; int4,int4->int4 #1882; int8,int8->int8 #1888;
    uint2,uint2->uint2 #16487; uint4,uint4->uint4 #16488; uint8,uint8->uint8 #16489
<< shift_left: int2,int4->int2 #1878; int4,int4->int4 #1884; int8,int4->int8 #1890;
    uint2,uint4->uint2 #16490; uint4,uint4->uint4 #16491; uint8,uint4->uint8 #16492
>> shift_right: int2,int4->int2 #1879; int4,int4->int4 #1885; int8,int4->int8 #1891;
    uint2,uint4->uint2 #16493; uint4,uint4->uint4 #16494; uint8,uint4->uint8 #16495
@ abs: int2->int2 #682 {e}; int4->int4 #773 {e}; int8->int8 #473 {e}; float4->float4 #590;
    float8->float8 #595; numeric->numeric #1763
|/ sqrt: float8->float8 #596 {em}
||/ cbrt: float8->float8 #597
^ power: float8,float8->float8 #965 {e}; numeric,numeric->numeric #1038 {e}
~ bit_not: int2->int2 #1877; int4->int4 #1883; int8->int8 #1889; uint2->uint2 #16529;
    uint4->uint4 #16530; uint8->uint8 #16531
"""

_FUNCTIONS = """
abs: int2->int2 #1398 {e}; int4->int4 #1397 {e}; int8->int8 #1396 {e}; numeric->numeric #1705;
    float4->float4 #1394; float8->float8 #1395
acosd: float8->float8 #2732 {e}
asind: float8->float8 #2731 {e}
atan2: float8,float8->float8 #1603
atan2d: float8,float8->float8 #2734
atand: float8->float8 #2733
cosd: float8->float8 #2736 {e}
cotd: float8->float8 #2738 {e}
div: numeric,numeric->numeric #1973 =whole_quotient_numeric_numeric {e}
factorial: int8->numeric #1376 {e}
gcd: int4,int4->int4 #5044 {e}; int8,int8->int8 #5045 {e}; numeric,numeric->numeric #5048 {e}
lcm: int4,int4->int4 #5046 {e}; int8,int8->int8 #5047 {e}; numeric,numeric->numeric #5049 {e}
min_scale: numeric->int4 #5042 =scale_numeric {n}
scale: numeric->int4 #3281 {n}
random: ->float8 #1598 =random {cv}
sign: float8->float8 #2310 {m}; numeric->numeric #1706 {m}
sind: float8->float8 #2735 {e}
tand: float8->float8 #2737 {e}
trim_scale: numeric->numeric #5043 =identity
width_bucket: float8,float8,float8,int4->int4 #320 =width_bucket_float8 {e};
    numeric,numeric,numeric,int4->int4 #2170 =width_bucket_numeric {e};
    anycompatible,anycompatiblearray->int4 #3218 {e}
mod: numeric,numeric->numeric #1728 {e}; int2,int2->int2 #940 {e}; int4,int4->int4 #941 {e};
    int8,int8->int8 #947 {e}; uint2,uint2->uint2 #16508 {e}; uint4,uint4->uint4 #16509 {e};
    uint8,uint8->uint8 #16510 {e}
ceil: float4->float4 #16386 {m}; float8->float8 #2308 {m}; numeric->numeric #1711 {em}
ceiling: float4->float4 #16564 =ceil_float4 {m}; float8->float8 #2320 =ceil_float8 {m};
    numeric->numeric #2167 =ceil_numeric {em}
floor: float4->float4 #16390 {m}; float8->float8 #2309 {m}; numeric->numeric #1712 {em}
round: float4->float4 #16414 {m}; float8->float8 #1342 {m}; numeric->numeric #1708 {em};
    numeric,int4->numeric #1707 {e}
trunc: float4->float4 #16459 {m}; float8->float8 #1343 {m}; numeric->numeric #1710 {m};
    numeric,int4->numeric #1709 {e}
sqrt: float8->float8 #1344 {em}; numeric->numeric #1730 {e}
cbrt: float8->float8 #1345
exp: float8->float8 #1347 {e}; numeric->numeric #1732 {e}
ln: float8->float8 #1341 {e}; numeric->numeric #1734 {e}
log: float8->float8 #1340 =log10_float8 {e}; numeric->numeric #1741 =log10_numeric {e};
    numeric,numeric->numeric #1736 {e}
log10: float8->float8 #1194 {e}; numeric->numeric #1481 {e}
mz_avg_promotion: float4->float4 #16626 =identity; float8->float8 #16627 =identity;
    int2->numeric #16628 =cast_int2_numeric; int4->numeric #16629 =cast_int4_numeric;
    int8->numeric #16630 =cast_int8_numeric; uint2->numeric #16631 =cast_uint2_numeric;
    uint4->numeric #16632 =cast_uint4_numeric; uint8->numeric #16633 =cast_uint8_numeric;
    numeric->numeric #16634 =identity
mz_avg_promotion_internal_v1: float4->float4 #16403 =identity;
    float8->float8 #16404 =identity; int2->numeric #16443 =cast_int2_numeric;
    int4->numeric #16405 =cast_int4_numeric; uint2->numeric #16550 =cast_uint2_numeric;
    uint4->numeric #16551 =cast_uint4_numeric
pow: float8,float8->float8 #1346 =power_float8_float8 {e};
    numeric,numeric->numeric #1738 =power_numeric_numeric {e}
power: float8,float8->float8 #1368 {e}; numeric,numeric->numeric #2169 {e}
degrees: float8->float8 #1608 {m}
radians: float8->float8 #1609 {m}
sin: float8->float8 #1604 {e}
cos: float8->float8 #1605 {e}
tan: float8->float8 #1606 {e}
cot: float8->float8 #1607 {e}
asin: float8->float8 #1600 {e}
acos: float8->float8 #1601 {e}
atan: float8->float8 #1602
sinh: float8->float8 #2462
cosh: float8->float8 #2463
tanh: float8->float8 #2464
asinh: float8->float8 #2465
acosh: float8->float8 #2466 {e}
atanh: float8->float8 #2467 {e}
"""

SIGNATURES: tuple[Signature, ...] = (
    *parse_table(_OPERATORS, FunctionKind.OPERATOR),
    *parse_table(_FUNCTIONS),
)

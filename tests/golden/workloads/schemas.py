"""The tables of three published workloads: TPC-H, Nexmark and CH-benCHmark.

Sources: the TPC-H specification 3.0.1; the Nexmark benchmark of the Apache Beam project; Cole et
al., "The mixed workload CH-benCHmark", DBTest 2011. ``!`` is NOT NULL; keys count columns.
"""

TPCH = {
    "region": ("r_regionkey int4! r_name text! r_comment text!", ((0,),)),
    "nation": ("n_nationkey int4! n_name text! n_regionkey int4! n_comment text!", ((0,),)),
    "supplier": (
        "s_suppkey int4! s_name text! s_address text! s_nationkey int4! s_phone text!"
        " s_acctbal numeric! s_comment text!",
        ((0,),),
    ),
    "part": (
        "p_partkey int4! p_name text! p_mfgr text! p_brand text! p_type text! p_size int4!"
        " p_container text! p_retailprice numeric! p_comment text!",
        ((0,),),
    ),
    "partsupp": (
        "ps_partkey int4! ps_suppkey int4! ps_availqty int4! ps_supplycost numeric!"
        " ps_comment text!",
        ((0, 1),),
    ),
    "customer": (
        "c_custkey int4! c_name text! c_address text! c_nationkey int4! c_phone text!"
        " c_acctbal numeric! c_mktsegment text! c_comment text!",
        ((0,),),
    ),
    "orders": (
        "o_orderkey int4! o_custkey int4! o_orderstatus text! o_totalprice numeric!"
        " o_orderdate date! o_orderpriority text! o_clerk text! o_shippriority int4!"
        " o_comment text!",
        ((0,),),
    ),
    "lineitem": (
        "l_orderkey int4! l_partkey int4! l_suppkey int4! l_linenumber int4! l_quantity numeric!"
        " l_extendedprice numeric! l_discount numeric! l_tax numeric! l_returnflag text!"
        " l_linestatus text! l_shipdate date! l_commitdate date! l_receiptdate date!"
        " l_shipinstruct text! l_shipmode text! l_comment text!",
        ((0, 3),),
    ),
}

NEXMARK = {
    "person": (
        "id int8! name text email_address text credit_card text city text state text"
        " date_time timestamp! extra text",
        ((0,),),
    ),
    "auction": (
        "id int8! item_name text description text initial_bid int8 reserve int8"
        " date_time timestamp! expires timestamp! seller int8! category int8! extra text",
        ((0,),),
    ),
    "bid": (
        "auction int8! bidder int8! price int8! channel text url text date_time timestamp!"
        " extra text",
        (),
    ),
    "side_input": ("key int8! value text", ((0,),)),
}

CHBENCH = {
    "warehouse": (
        "w_id int4! w_name text w_street_1 text w_street_2 text w_city text w_state text"
        " w_zip text w_tax numeric w_ytd numeric",
        ((0,),),
    ),
    "district": (
        "d_id int4! d_w_id int4! d_name text d_street_1 text d_street_2 text d_city text"
        " d_state text d_zip text d_tax numeric d_ytd numeric d_next_o_id int4",
        ((1, 0),),
    ),
    "customer": (
        "c_id int4! c_d_id int4! c_w_id int4! c_first text c_middle text c_last text"
        " c_street_1 text c_street_2 text c_city text c_state text c_zip text c_phone text"
        " c_since timestamp c_credit text c_credit_lim numeric c_discount numeric c_balance numeric"
        " c_ytd_payment numeric c_payment_cnt int4 c_delivery_cnt int4 c_data text",
        ((2, 1, 0),),
    ),
    "history": (
        "h_c_id int4 h_c_d_id int4 h_c_w_id int4 h_d_id int4 h_w_id int4 h_date timestamp"
        " h_amount numeric h_data text",
        (),
    ),
    "neworder": ("no_o_id int4! no_d_id int4! no_w_id int4!", ((2, 1, 0),)),
    "orders": (
        "o_id int4! o_d_id int4! o_w_id int4! o_c_id int4! o_entry_d timestamp! o_carrier_id int4"
        " o_ol_cnt int4 o_all_local int4",
        ((2, 1, 0),),
    ),
    "orderline": (
        "ol_o_id int4! ol_d_id int4! ol_w_id int4! ol_number int4! ol_i_id int4!"
        " ol_supply_w_id int4! ol_delivery_d timestamp ol_quantity int4! ol_amount numeric!"
        " ol_dist_info text",
        ((2, 1, 0, 3),),
    ),
    "item": ("i_id int4! i_im_id int4 i_name text! i_price numeric i_data text!", ((0,),)),
    "stock": (
        "s_i_id int4! s_w_id int4! s_quantity int4! s_ytd int4 s_order_cnt int4! s_remote_cnt int4"
        " s_data text",
        ((1, 0),),
    ),
    "nation": ("n_nationkey int4! n_name text! n_regionkey int4! n_comment text", ((0,),)),
    "supplier": (
        "su_suppkey int4! su_name text! su_address text! su_nationkey int4! su_phone text!"
        " su_acctbal numeric! su_comment text!",
        ((0,),),
    ),
    "region": ("r_regionkey int4! r_name text! r_comment text", ((0,),)),
}

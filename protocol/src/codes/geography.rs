//! Countries, the regions they lie in, and the groups that get special treatment.
//!
//! Owns the facts of ISO 3166-1 (two-letter codes of countries and territories) and of the United
//! Nations' standard M49 (numeric codes, regions, least developed countries, landlocked developing
//! countries, small island developing States), as of November 2026. One code is from neither: `XK`,
//! from the part of ISO 3166 left to its users, is in wide use for Kosovo. A code or a region here
//! says nothing about the legal status of a territory.
//!
//! Refuses: names (the node has them, by language), which subdivisions exist, former and reserved
//! codes (`UK`, `EU`), and groupings that M49 does not nest, such as North America (003).
//!
//! ```
//! use baraza_protocol::codes::geography::{countries_in, country};
//!
//! assert!(country("LS").is_some_and(|lesotho| lesotho.is_ldc() && lesotho.is_lldc()));
//! assert!(countries_in("014").any(|country| country.code() == "KE"));
//! ```

use std::iter;

use super::Scheme;

/// The M49 code of the whole world, which every country lies in.
pub const WORLD: &str = "001";

/// The regions of M49, each before the regions within it; the first is [`WORLD`].
pub static REGIONS: Scheme = Scheme {
    name: "region",
    codes: &REGION_CODES,
};

/// A country or territory with a code of its own.
#[derive(Debug, PartialEq, Eq)]
pub struct Country {
    code: &'static str,
    m49: Option<&'static str>,
    region: &'static str,
    groups: u8,
}

impl Country {
    /// Two capital letters: ISO 3166-1 alpha-2, or `XK`.
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// Three digits: ISO 3166-1 numeric, which UN M49 shares. `XK` has none.
    pub const fn m49(&self) -> Option<&'static str> {
        self.m49
    }

    /// The narrowest M49 region it lies in: an intermediate region where there is one, else a
    /// sub-region; for Antarctica, which has neither, the world. [`regions_of`] gives the wider.
    pub const fn region(&self) -> &'static str {
        self.region
    }

    /// Whether it is a least developed country.
    pub const fn is_ldc(&self) -> bool {
        self.groups & LDC != 0
    }

    /// Whether it is a landlocked developing country.
    pub const fn is_lldc(&self) -> bool {
        self.groups & LLDC != 0
    }

    /// Whether M49 counts it among the small island developing States; some are territories.
    pub const fn is_sids(&self) -> bool {
        self.groups & SIDS != 0
    }
}

/// The country with this two-letter code, in capitals; `None` if there is none.
pub fn country(code: &str) -> Option<&'static Country> {
    COUNTRIES
        .binary_search_by(|listed| listed.code.cmp(code))
        .ok()
        .map(|row| &COUNTRIES[row])
}

/// Every country, by code.
pub fn countries() -> impl ExactSizeIterator<Item = &'static Country> {
    COUNTRIES.iter()
}

/// Whether `m49` is a region: the world, a region, sub-region or intermediate region of UN M49.
/// The numeric code of a country is not.
pub fn is_region(m49: &str) -> bool {
    REGIONS.contains(m49)
}

/// The region next wider than the region `m49`; `None` for the world and for an unknown code.
pub fn wider_region(m49: &str) -> Option<&'static str> {
    REGION_TABLE
        .iter()
        .find(|(code, _)| *code == m49)
        .and_then(|(_, wider)| *wider)
}

/// The countries within a region, sub-region or intermediate region, by code; none if `m49` is no
/// region.
pub fn countries_in(m49: &str) -> impl Iterator<Item = &'static Country> + use<> {
    let wanted = REGIONS.get(m49);
    COUNTRIES
        .iter()
        .filter(move |country| regions_of(country).any(|region| Some(region) == wanted))
}

/// The regions that `country` lies in, from the narrowest to the world.
pub fn regions_of(country: &Country) -> impl Iterator<Item = &'static str> + use<> {
    iter::successors(Some(country.region), |region| wider_region(region))
}

/// The country of a subdivision such as `KE-30`; `None` if `code` is not written as ISO 3166-2
/// demands: a known country, a hyphen, one to three capital letters or digits.
///
/// Whether the country has such a subdivision is not checked: they change every year.
pub fn country_of_subdivision(code: &str) -> Option<&'static Country> {
    let (country_code, part) = code.split_once('-')?;
    let well_formed = (1..=3).contains(&part.len())
        && part
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    if well_formed {
        country(country_code)
    } else {
        None
    }
}

const NONE: u8 = 0;
const LDC: u8 = 1;
const LLDC: u8 = 2;
const SIDS: u8 = 4;

const fn at(code: &'static str, m49: &'static str, region: &'static str, groups: u8) -> Country {
    Country {
        code,
        m49: Some(m49),
        region,
        groups,
    }
}

const REGION_CODES: [&str; REGION_TABLE.len()] = {
    let mut codes = [""; REGION_TABLE.len()];
    let mut row = 0;
    while row < codes.len() {
        codes[row] = REGION_TABLE[row].0;
        row += 1;
    }
    codes
};

/// Each region with the next wider one. No region is its own ancestor, so walking up ends.
const REGION_TABLE: &[(&str, Option<&str>)] = &[
    ("001", None),
    ("002", Some("001")),
    ("015", Some("002")),
    ("202", Some("002")),
    ("011", Some("202")),
    ("014", Some("202")),
    ("017", Some("202")),
    ("018", Some("202")),
    ("009", Some("001")),
    ("053", Some("009")),
    ("054", Some("009")),
    ("057", Some("009")),
    ("061", Some("009")),
    ("019", Some("001")),
    ("021", Some("019")),
    ("419", Some("019")),
    ("005", Some("419")),
    ("013", Some("419")),
    ("029", Some("419")),
    ("142", Some("001")),
    ("030", Some("142")),
    ("034", Some("142")),
    ("035", Some("142")),
    ("143", Some("142")),
    ("145", Some("142")),
    ("150", Some("001")),
    ("039", Some("150")),
    ("151", Some("150")),
    ("154", Some("150")),
    ("155", Some("150")),
];

/// Sorted by code, for the binary search. Lao PDR and Nepal still count as least developed (they
/// are to graduate on 24 November 2026), and so does Bangladesh, which asked for more time.
static COUNTRIES: [Country; 250] = [
    at("AD", "020", "039", NONE),
    at("AE", "784", "145", NONE),
    at("AF", "004", "034", LDC | LLDC),
    at("AG", "028", "029", SIDS),
    at("AI", "660", "029", SIDS),
    at("AL", "008", "039", NONE),
    at("AM", "051", "145", LLDC),
    at("AO", "024", "017", LDC),
    at("AQ", "010", "001", NONE),
    at("AR", "032", "005", NONE),
    at("AS", "016", "061", SIDS),
    at("AT", "040", "155", NONE),
    at("AU", "036", "053", NONE),
    at("AW", "533", "029", SIDS),
    at("AX", "248", "154", NONE),
    at("AZ", "031", "145", LLDC),
    at("BA", "070", "039", NONE),
    at("BB", "052", "029", SIDS),
    at("BD", "050", "034", LDC),
    at("BE", "056", "155", NONE),
    at("BF", "854", "011", LDC | LLDC),
    at("BG", "100", "151", NONE),
    at("BH", "048", "145", NONE),
    at("BI", "108", "014", LDC | LLDC),
    at("BJ", "204", "011", LDC),
    at("BL", "652", "029", NONE),
    at("BM", "060", "021", NONE),
    at("BN", "096", "035", NONE),
    at("BO", "068", "005", LLDC),
    at("BQ", "535", "029", SIDS),
    at("BR", "076", "005", NONE),
    at("BS", "044", "029", SIDS),
    at("BT", "064", "034", LLDC),
    at("BV", "074", "005", NONE),
    at("BW", "072", "018", LLDC),
    at("BY", "112", "151", NONE),
    at("BZ", "084", "013", SIDS),
    at("CA", "124", "021", NONE),
    at("CC", "166", "053", NONE),
    at("CD", "180", "017", LDC),
    at("CF", "140", "017", LDC | LLDC),
    at("CG", "178", "017", NONE),
    at("CH", "756", "155", NONE),
    at("CI", "384", "011", NONE),
    at("CK", "184", "061", SIDS),
    at("CL", "152", "005", NONE),
    at("CM", "120", "017", NONE),
    at("CN", "156", "030", NONE),
    at("CO", "170", "005", NONE),
    at("CR", "188", "013", NONE),
    at("CU", "192", "029", SIDS),
    at("CV", "132", "011", SIDS),
    at("CW", "531", "029", SIDS),
    at("CX", "162", "053", NONE),
    at("CY", "196", "145", NONE),
    at("CZ", "203", "151", NONE),
    at("DE", "276", "155", NONE),
    at("DJ", "262", "014", LDC),
    at("DK", "208", "154", NONE),
    at("DM", "212", "029", SIDS),
    at("DO", "214", "029", SIDS),
    at("DZ", "012", "015", NONE),
    at("EC", "218", "005", NONE),
    at("EE", "233", "154", NONE),
    at("EG", "818", "015", NONE),
    at("EH", "732", "015", NONE),
    at("ER", "232", "014", LDC),
    at("ES", "724", "039", NONE),
    at("ET", "231", "014", LDC | LLDC),
    at("FI", "246", "154", NONE),
    at("FJ", "242", "054", SIDS),
    at("FK", "238", "005", NONE),
    at("FM", "583", "057", SIDS),
    at("FO", "234", "154", NONE),
    at("FR", "250", "155", NONE),
    at("GA", "266", "017", NONE),
    at("GB", "826", "154", NONE),
    at("GD", "308", "029", SIDS),
    at("GE", "268", "145", NONE),
    at("GF", "254", "005", NONE),
    at("GG", "831", "154", NONE),
    at("GH", "288", "011", NONE),
    at("GI", "292", "039", NONE),
    at("GL", "304", "021", NONE),
    at("GM", "270", "011", LDC),
    at("GN", "324", "011", LDC),
    at("GP", "312", "029", NONE),
    at("GQ", "226", "017", NONE),
    at("GR", "300", "039", NONE),
    at("GS", "239", "005", NONE),
    at("GT", "320", "013", NONE),
    at("GU", "316", "057", SIDS),
    at("GW", "624", "011", LDC | SIDS),
    at("GY", "328", "005", SIDS),
    at("HK", "344", "030", NONE),
    at("HM", "334", "053", NONE),
    at("HN", "340", "013", NONE),
    at("HR", "191", "039", NONE),
    at("HT", "332", "029", LDC | SIDS),
    at("HU", "348", "151", NONE),
    at("ID", "360", "035", NONE),
    at("IE", "372", "154", NONE),
    at("IL", "376", "145", NONE),
    at("IM", "833", "154", NONE),
    at("IN", "356", "034", NONE),
    at("IO", "086", "014", NONE),
    at("IQ", "368", "145", NONE),
    at("IR", "364", "034", NONE),
    at("IS", "352", "154", NONE),
    at("IT", "380", "039", NONE),
    at("JE", "832", "154", NONE),
    at("JM", "388", "029", SIDS),
    at("JO", "400", "145", NONE),
    at("JP", "392", "030", NONE),
    at("KE", "404", "014", NONE),
    at("KG", "417", "143", LLDC),
    at("KH", "116", "035", LDC),
    at("KI", "296", "057", LDC | SIDS),
    at("KM", "174", "014", LDC | SIDS),
    at("KN", "659", "029", SIDS),
    at("KP", "408", "030", NONE),
    at("KR", "410", "030", NONE),
    at("KW", "414", "145", NONE),
    at("KY", "136", "029", NONE),
    at("KZ", "398", "143", LLDC),
    at("LA", "418", "035", LDC | LLDC),
    at("LB", "422", "145", NONE),
    at("LC", "662", "029", SIDS),
    at("LI", "438", "155", NONE),
    at("LK", "144", "034", NONE),
    at("LR", "430", "011", LDC),
    at("LS", "426", "018", LDC | LLDC),
    at("LT", "440", "154", NONE),
    at("LU", "442", "155", NONE),
    at("LV", "428", "154", NONE),
    at("LY", "434", "015", NONE),
    at("MA", "504", "015", NONE),
    at("MC", "492", "155", NONE),
    at("MD", "498", "151", LLDC),
    at("ME", "499", "039", NONE),
    at("MF", "663", "029", NONE),
    at("MG", "450", "014", LDC),
    at("MH", "584", "057", SIDS),
    at("MK", "807", "039", LLDC),
    at("ML", "466", "011", LDC | LLDC),
    at("MM", "104", "035", LDC),
    at("MN", "496", "030", LLDC),
    at("MO", "446", "030", NONE),
    at("MP", "580", "057", SIDS),
    at("MQ", "474", "029", NONE),
    at("MR", "478", "011", LDC),
    at("MS", "500", "029", SIDS),
    at("MT", "470", "039", NONE),
    at("MU", "480", "014", SIDS),
    at("MV", "462", "034", SIDS),
    at("MW", "454", "014", LDC | LLDC),
    at("MX", "484", "013", NONE),
    at("MY", "458", "035", NONE),
    at("MZ", "508", "014", LDC),
    at("NA", "516", "018", NONE),
    at("NC", "540", "054", SIDS),
    at("NE", "562", "011", LDC | LLDC),
    at("NF", "574", "053", NONE),
    at("NG", "566", "011", NONE),
    at("NI", "558", "013", NONE),
    at("NL", "528", "155", NONE),
    at("NO", "578", "154", NONE),
    at("NP", "524", "034", LDC | LLDC),
    at("NR", "520", "057", SIDS),
    at("NU", "570", "061", SIDS),
    at("NZ", "554", "053", NONE),
    at("OM", "512", "145", NONE),
    at("PA", "591", "013", NONE),
    at("PE", "604", "005", NONE),
    at("PF", "258", "061", SIDS),
    at("PG", "598", "054", SIDS),
    at("PH", "608", "035", NONE),
    at("PK", "586", "034", NONE),
    at("PL", "616", "151", NONE),
    at("PM", "666", "021", NONE),
    at("PN", "612", "061", NONE),
    at("PR", "630", "029", SIDS),
    at("PS", "275", "145", NONE),
    at("PT", "620", "039", NONE),
    at("PW", "585", "057", SIDS),
    at("PY", "600", "005", LLDC),
    at("QA", "634", "145", NONE),
    at("RE", "638", "014", NONE),
    at("RO", "642", "151", NONE),
    at("RS", "688", "039", NONE),
    at("RU", "643", "151", NONE),
    at("RW", "646", "014", LDC | LLDC),
    at("SA", "682", "145", NONE),
    at("SB", "090", "054", LDC | SIDS),
    at("SC", "690", "014", SIDS),
    at("SD", "729", "015", LDC),
    at("SE", "752", "154", NONE),
    at("SG", "702", "035", SIDS),
    at("SH", "654", "011", NONE),
    at("SI", "705", "039", NONE),
    at("SJ", "744", "154", NONE),
    at("SK", "703", "151", NONE),
    at("SL", "694", "011", LDC),
    at("SM", "674", "039", NONE),
    at("SN", "686", "011", LDC),
    at("SO", "706", "014", LDC),
    at("SR", "740", "005", SIDS),
    at("SS", "728", "014", LDC | LLDC),
    at("ST", "678", "017", SIDS),
    at("SV", "222", "013", NONE),
    at("SX", "534", "029", SIDS),
    at("SY", "760", "145", NONE),
    at("SZ", "748", "018", LLDC),
    at("TC", "796", "029", NONE),
    at("TD", "148", "017", LDC | LLDC),
    at("TF", "260", "014", NONE),
    at("TG", "768", "011", LDC),
    at("TH", "764", "035", NONE),
    at("TJ", "762", "143", LLDC),
    at("TK", "772", "061", NONE),
    at("TL", "626", "035", LDC | SIDS),
    at("TM", "795", "143", LLDC),
    at("TN", "788", "015", NONE),
    at("TO", "776", "061", SIDS),
    at("TR", "792", "145", NONE),
    at("TT", "780", "029", SIDS),
    at("TV", "798", "061", LDC | SIDS),
    at("TW", "158", "030", NONE),
    at("TZ", "834", "014", LDC),
    at("UA", "804", "151", NONE),
    at("UG", "800", "014", LDC | LLDC),
    at("UM", "581", "057", NONE),
    at("US", "840", "021", NONE),
    at("UY", "858", "005", NONE),
    at("UZ", "860", "143", LLDC),
    at("VA", "336", "039", NONE),
    at("VC", "670", "029", SIDS),
    at("VE", "862", "005", NONE),
    at("VG", "092", "029", SIDS),
    at("VI", "850", "029", SIDS),
    at("VN", "704", "035", NONE),
    at("VU", "548", "054", SIDS),
    at("WF", "876", "061", NONE),
    at("WS", "882", "061", SIDS),
    // M49 does not list it; the region is the one that Unicode CLDR gives.
    Country {
        m49: None,
        ..at("XK", "", "039", NONE)
    },
    at("YE", "887", "145", LDC),
    at("YT", "175", "014", NONE),
    at("ZA", "710", "018", NONE),
    at("ZM", "894", "014", LDC | LLDC),
    at("ZW", "716", "014", LLDC),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn codes_in(m49: &str) -> Vec<&'static str> {
        countries_in(m49).map(Country::code).collect()
    }

    #[test]
    fn countries_are_sorted_and_each_is_found_by_its_code() {
        assert!(COUNTRIES.is_sorted_by(|a, b| a.code < b.code));
        for listed in countries() {
            assert_eq!(country(listed.code()), Some(listed));
        }
    }

    #[test]
    fn all_of_iso_3166_1_is_here_and_kosovo() {
        assert_eq!(countries().len(), 249 + 1);
        assert!(country("XK").is_some_and(|kosovo| kosovo.m49().is_none()));
    }

    #[test]
    fn what_is_no_country_code_is_unknown() {
        for code in [
            "", "K", "ke", "Ke", "KEN", "UK", "EU", "404", "ZZ", " KE", "é",
        ] {
            assert_eq!(country(code), None, "{code:?}");
        }
    }

    #[test]
    fn numeric_codes_are_three_digits_and_unlike_each_other_and_any_region() {
        let mut numbers: Vec<_> = countries().filter_map(Country::m49).collect();
        numbers.extend(REGIONS.codes());
        for number in &numbers {
            let is_number = number.len() == 3 && number.bytes().all(|byte| byte.is_ascii_digit());
            assert!(is_number, "{number}");
        }
        let all = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), all);
    }

    #[test]
    fn every_region_leads_up_to_the_world_and_holds_a_country() {
        assert_eq!(REGIONS.codes().first(), Some(&WORLD));
        for (row, (region, wider)) in REGION_TABLE.iter().enumerate() {
            assert_eq!(wider.is_none(), *region == WORLD);
            let listed_before = |wider| REGION_CODES[..row].contains(&wider);
            assert!(wider.is_none_or(listed_before), "{region}");
            assert!(countries_in(region).next().is_some(), "{region}");
        }
    }

    #[test]
    fn every_country_lies_in_the_world_through_known_regions() {
        assert_eq!(countries_in(WORLD).count(), COUNTRIES.len());
        for country in countries() {
            assert!(regions_of(country).all(is_region), "{}", country.code());
            assert_eq!(regions_of(country).last(), Some(WORLD));
        }
    }

    #[test]
    fn the_continents_share_out_every_country_but_antarctica() {
        let continents = ["002", "009", "019", "142", "150"];
        let together: usize = continents.iter().map(|m49| countries_in(m49).count()).sum();
        assert_eq!(together, COUNTRIES.len() - 1);
        assert_eq!(
            country("AQ").map(|antarctica| regions_of(antarctica).collect()),
            Some(vec![WORLD])
        );
    }

    #[test]
    fn a_country_lies_in_its_regions_from_the_narrowest_to_the_widest() {
        let regions = |code| country(code).map(|found| regions_of(found).collect::<Vec<_>>());
        assert_eq!(regions("KE"), Some(vec!["014", "202", "002", "001"]));
        assert_eq!(regions("EG"), Some(vec!["015", "002", "001"]));
        assert_eq!(regions("JM"), Some(vec!["029", "419", "019", "001"]));
        assert_eq!(regions("FJ"), Some(vec!["054", "009", "001"]));
        assert_eq!(regions("NA"), Some(vec!["018", "202", "002", "001"]));
    }

    #[test]
    fn the_countries_of_a_region_are_those_of_the_regions_within_it() {
        assert_eq!(codes_in("018"), ["BW", "LS", "NA", "SZ", "ZA"]);
        assert_eq!(codes_in("015"), ["DZ", "EG", "EH", "LY", "MA", "SD", "TN"]);
        assert_eq!(codes_in("143"), ["KG", "KZ", "TJ", "TM", "UZ"]);
        let in_africa = codes_in("015").len() + codes_in("202").len();
        assert_eq!(codes_in("002").len(), in_africa);
    }

    #[test]
    fn what_is_no_region_has_no_countries() {
        for code in ["", "404", "003", "2", "KE", "world"] {
            assert!(!is_region(code), "{code:?}");
            assert_eq!(countries_in(code).count(), 0, "{code:?}");
            assert_eq!(wider_region(code), None, "{code:?}");
        }
    }

    #[test]
    fn each_group_has_as_many_members_as_the_united_nations_list() {
        assert_eq!(countries().filter(|country| country.is_ldc()).count(), 44);
        assert_eq!(countries().filter(|country| country.is_lldc()).count(), 32);
        assert_eq!(countries().filter(|country| country.is_sids()).count(), 53);
    }

    #[test]
    fn a_country_may_be_in_several_groups_or_in_none() {
        let groups = |code| country(code).map(|c| (c.is_ldc(), c.is_lldc(), c.is_sids()));
        assert_eq!(groups("RW"), Some((true, true, false)));
        assert_eq!(groups("HT"), Some((true, false, true)));
        assert_eq!(groups("ST"), Some((false, false, true)));
        assert_eq!(groups("BW"), Some((false, true, false)));
        assert_eq!(groups("NO"), Some((false, false, false)));
    }

    #[test]
    fn a_subdivision_belongs_to_the_country_it_begins_with() {
        for code in ["KE-30", "FR-ARA", "US-CA", "CZ-10A", "LR-B"] {
            let found = country_of_subdivision(code).map(Country::code);
            assert_eq!(found, Some(&code[..2]));
        }
    }

    #[test]
    fn what_is_not_written_as_a_subdivision_has_no_country() {
        let cases = [
            "", "KE", "KE-", "-30", "KE-1234", "KE-a", "ke-30", "KE 30", "ZZ-01", "KE-3-0", "KE-é",
        ];
        for code in cases {
            assert_eq!(country_of_subdivision(code), None, "{code:?}");
        }
    }
}

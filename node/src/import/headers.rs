//! What a column's header means: the words that members go by in six languages.
//!
//! A header is folded before it is looked up (case, accents, spaces and punctuation do not count), so
//! `Start date`, `start_date` and `startDate` are one. Add a word to its row here; a test refuses one
//! that means two members.

use protocol::codes::{language_tag, primary_language};

use super::Labels;
use super::members;
use crate::fold::fold;

/// What a column fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// What the row is known by in its source: the `localId`.
    Id,
    /// The type of the record, or, as most tables use the word, the kind of what is offered.
    Type,
    /// The language of the row's texts, and of what is offered.
    Language,
    /// The licence of the record itself.
    RecordLicence,
    /// When the record ceases to hold.
    ValidUntil,
    /// When somebody last checked it.
    Confirmed,
    /// A part of the place: of its only instance, or its own if a place is what is offered.
    Place(&'static str),
    /// A member of the body, by path.
    Body(&'static str),
}

/// A target, and the language that the header names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) target: Target,
    pub(super) language: Option<String>,
    /// Whether the header is the member's own name and not another word for it.
    pub(super) is_exact: bool,
}

impl Meaning {
    /// The member as a mapping would name it.
    pub(super) fn member(&self) -> String {
        let name = self.target.name();
        match &self.language {
            Some(language) => format!("{name}:{language}"),
            None => name,
        }
    }
}

impl Target {
    pub(super) fn name(self) -> String {
        match self {
            Self::Id => "localId".to_owned(),
            Self::Type => "type".to_owned(),
            Self::Language => "language".to_owned(),
            Self::RecordLicence => "record.licence".to_owned(),
            Self::ValidUntil => "validUntil".to_owned(),
            Self::Confirmed => "confirmed".to_owned(),
            Self::Place(part) => format!("place.{part}"),
            Self::Body(path) => path.to_owned(),
        }
    }

    fn takes_language(self) -> bool {
        match self {
            Self::Body(path) => members::is_text_map(path),
            Self::Place(part) => matches!(part, "name" | "openingHours"),
            _ => false,
        }
    }
}

/// What `header` means; `None` if nothing known.
pub(super) fn meaning(header: &str, labels: &dyn Labels) -> Option<Meaning> {
    let header = header.trim();
    if let Some(target) = by_name(header) {
        return Some(Meaning {
            target,
            language: None,
            is_exact: true,
        });
    }
    if let Some(target) = by_word(header) {
        return Some(Meaning {
            target,
            language: None,
            is_exact: false,
        });
    }
    with_language(header, labels)
}

/// The member's own name, with or without `body.` before it.
pub(super) fn by_name(header: &str) -> Option<Target> {
    let name = header.strip_prefix("body.").unwrap_or(header);
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    if let Some((_, target)) = ENVELOPE
        .iter()
        .find(|(own, _)| header.eq_ignore_ascii_case(own))
    {
        return Some(*target);
    }
    // A bare `cost` or `certificate` means its kind; `language` is the envelope's.
    if is("cost") {
        return Some(Target::Body("cost.kind"));
    }
    if is("certificate") {
        return Some(Target::Body("certificate.kind"));
    }
    members::paths().find(|path| is(path)).map(Target::Body)
}

const ENVELOPE: &[(&str, Target)] = &[
    ("localId", Target::Id),
    ("id", Target::Id),
    ("type", Target::Type),
    ("language", Target::Language),
    ("record.licence", Target::RecordLicence),
    ("validUntil", Target::ValidUntil),
    ("confirmed", Target::Confirmed),
];

fn by_word(header: &str) -> Option<Target> {
    let folded = fold(strip_remark(header));
    if folded.is_empty() {
        return None;
    }
    let named = members::paths()
        .find(|path| fold(path) == folded)
        .map(Target::Body)
        .or_else(|| {
            ENVELOPE
                .iter()
                .find(|(own, _)| fold(own) == folded)
                .map(|(_, target)| *target)
        });
    named.or_else(|| {
        WORDS
            .iter()
            .find(|(_, words)| words.split(',').any(|word| fold(word) == folded))
            .map(|(target, _)| *target)
    })
}

/// `name:fr`, `name_fr`, `titre (fr)`, `Title [French]`.
fn with_language(header: &str, labels: &dyn Labels) -> Option<Meaning> {
    let find = |word: &str, language: Option<String>| {
        let target = by_name(word.trim()).or_else(|| by_word(word))?;
        let language = Some(language?);
        target.takes_language().then_some(Meaning {
            target,
            language,
            is_exact: false,
        })
    };
    let bracketed = [('(', ')'), ('[', ']')]
        .into_iter()
        .find_map(|(open, close)| header.strip_suffix(close)?.rsplit_once(open));
    if let Some((word, language)) = bracketed {
        let language = language.trim();
        return find(
            word,
            short_tag(language).or_else(|| labels.language(language)),
        );
    }
    header
        .char_indices()
        .filter(|(_, letter)| matches!(letter, ':' | '@' | '.' | '_' | '-' | '/' | ' '))
        .find_map(|(at, letter)| {
            let word = header.get(..at)?;
            find(
                word,
                short_tag(header.get(at + letter.len_utf8()..)?.trim()),
            )
        })
}

/// A language tag as tables write it: `fr`, `pt_BR`. Words that only look like one are none.
pub(super) fn short_tag(text: &str) -> Option<String> {
    let tag = language_tag(&text.trim().replace('_', "-"))?;
    (primary_language(&tag).len() <= 3).then_some(tag)
}

/// Drops what tables add to a header: `Title *`, `Titre (obligatoire)`.
fn strip_remark(header: &str) -> &str {
    let header = header.trim_end_matches(['*', ':', '?', ' ']);
    let Some((word, remark)) = header
        .strip_suffix(')')
        .and_then(|rest| rest.rsplit_once('('))
    else {
        return header;
    };
    const REMARKS: [&str; 9] = [
        "required",
        "optional",
        "obligatoire",
        "facultatif",
        "obligatorio",
        "opcional",
        "obrigatorio",
        "lazima",
        "اجباري",
    ];
    if REMARKS.contains(&fold(remark).as_str()) {
        word
    } else {
        header
    }
}

use Target::{Body, Confirmed, Id, Language, Place, Type, ValidUntil};

/// Words for each member: English | French, Spanish, Portuguese, Arabic, Kiswahili.
#[rustfmt::skip]
static WORDS: &[(Target, &str)] = &[
    (Id, "identifier,ref,reference,code,key,uid,uuid,course id,resource id,record id,title id,name id,row id,\
        identifiant,référence,réf,identificador,referencia,clave,código,referência,معرف,المعرف,الرمز,kitambulisho"),
    (Type, "tipo,aina,نوع,النوع,record type"),
    (Language, "lang,locale,langue,idioma,lengua,língua,لغة,اللغة,lugha"),
    (ValidUntil, "expires,expiry,expiry date,expires on,valable jusqu'au,expire le,válido hasta,caduca,válido até,\
        صالح حتى,halali hadi"),
    (Confirmed, "last confirmed,last checked,last verified,vérifié le,verificado,verificado em,تاريخ التحقق,imethibitishwa"),
    (Body("kind"), "type of offer,offer type,offering type,kind of offer,resource type,type d'offre,type de ressource,\
        tipo de oferta,tipo de recurso,clase,نوع العرض,aina ya huduma,aina ya rasilimali"),
    (Body("name"), "title,course title,course name,course,resource name,resource title,titre,nom,intitulé,cours,\
        nom du cours,titre du cours,título,nombre,nombre del curso,título del curso,curso,nome,nome do curso,título do curso,\
        عنوان,العنوان,اسم,الاسم,اسم الدورة,عنوان الدورة,jina,kichwa,jina la kozi,jina la mafunzo,kozi"),
    (Body("summary"), "abstract,short description,excerpt,teaser,résumé,description courte,accroche,resumen,descripción breve,\
        descripción corta,resumo,descrição curta,descrição breve,ملخص,الملخص,وصف مختصر,muhtasari"),
    (Body("description"), "details,full description,long description,détails,descripción,detalles,descrição,detalhes,\
        وصف,الوصف,تفاصيل,التفاصيل,maelezo"),
    (Body("url"), "link,web,web address,web page,webpage,web site,homepage,home page,href,uri,hyperlink,course url,course link,\
        lien,adresse web,site,site web,site internet,page web,enlace,sitio,sitio web,página web,página,dirección web,vínculo,\
        ligação,hiperligação,endereço web,sítio,رابط,الرابط,الموقع الإلكتروني,kiungo,tovuti"),
    (Body("image"), "picture,thumbnail,image url,imagen,imagem,صورة,الصورة,picha"),
    (Body("languages"), "course language,course languages,teaching language,teaching languages,languages of teaching,langues,\
        langue d'enseignement,langues d'enseignement,idiomas,lenguas,línguas,idiomas de enseñanza,لغات,اللغات,lugha za mafunzo"),
    (Body("subtitleLanguages"), "subtitles,captions,subtitle language,sous-titres,subtítulos,legendas,الترجمة,manukuu"),
    (Body("areas"), "area,subject,subjects,subject area,focus area,focus areas,theme,themes,category,categories,field,domain,\
        discipline,domaine,domaines,thème,thèmes,thématique,sujet,matière,catégorie,tema,temas,área,áreas,materia,\
        materias,asignatura,categoría,ámbito,assunto,matéria,categoria,disciplina,مجال,المجال,المجالات,موضوع,الموضوع,فئة,الفئة,\
        التصنيف,somo,masomo,nyanja,kategoria"),
    (Body("topics"), "topic,sub subject,sub-subject,subtopic,subtopics,sub area,subarea,subcategory,tags,keywords,\
        sous-thème,sous-domaine,sous-catégorie,mots-clés,étiquettes,subtema,subtemas,tópico,tópicos,subcategoría,palabras clave,\
        etiquetas,subcategoria,palavras-chave,الموضوع الفرعي,كلمات مفتاحية,الكلمات المفتاحية,mada,maneno muhimu"),
    (Body("audiences"), "audience,target group,target groups,target audience,for whom,public,publics,public cible,groupe cible,\
        bénéficiaires,destinataires,público,públicos,público objetivo,público destinatario,grupo destinatario,destinatarios,audiencia,\
        público-alvo,destinatários,الجمهور,الجمهور المستهدف,الفئة المستهدفة,الفئات المستهدفة,المستفيدون,walengwa,hadhira"),
    (Body("levels"), "level,difficulty,niveau,niveaux,difficulté,nivel,niveles,dificultad,nível,níveis,dificuldade,\
        مستوى,المستوى,kiwango,ngazi"),
    (Body("modes"), "mode,format,delivery,delivery mode,delivery type,delivery format,modality,modalité,modalités,modalidad,\
        modalidades,formato,modalidade,نمط,طريقة التقديم,الصيغة,njia,njia ya utoaji,muundo"),
    (Body("cost.kind"), "cost type,costs,fee,fees,free or paid,coût,coûts,tarif,gratuit ou payant,costo,costos,coste,costes,tarifa,\
        custo,custos,تكلفة,التكلفة,الرسوم,رسوم,gharama,ada"),
    (Body("cost.price"), "price,prix,montant,precio,importe,preço,valor,سعر,السعر,الثمن,bei"),
    (Body("cost.currency"), "currency,devise,monnaie,moneda,divisa,moeda,عملة,العملة,sarafu"),
    (Body("cost.payer"), "payer,who pays,qui paie,quién paga,quem paga,من يدفع,nani analipa"),
    (Body("certificate.kind"), "certificates,certification,credential,certificat,attestation,diplôme,certificado,certificación,\
        certificação,شهادة,الشهادة,cheti"),
    (Body("certificate.issuer"), "issuer,certificate issuer,issued by,awarding body,délivré par,organisme certificateur,emisor,\
        emitido por,expedido por,emissor,جهة الإصدار,mtoaji cheti"),
    (Body("countries"), "country,available in,where available,pays,país,países,بلد,البلد,البلدان,دولة,الدولة,الدول,nchi"),
    (Body("excludedCountries"), "not available in,pays exclus,países excluidos,países excluídos,البلدان المستثناة,nchi zisizohusika"),
    (Body("regions"), "region,région,régions,región,regiones,região,regiões,منطقة,المنطقة,المناطق,إقليم,kanda"),
    (Body("provider"), "organisation,organization,offered by,provided by,institution,publisher,vendor,fournisseur,organisme,\
        prestataire,proposé par,établissement,proveedor,organización,institución,ofrecido por,entidad,provedor,fornecedor,\
        organização,instituição,oferecido por,entidade,مقدم الخدمة,المزود,مزود,الجهة,المؤسسة,المنظمة,mtoa huduma,mtoaji,taasisi,shirika"),
    (Body("host"), "platform,hébergeur,plateforme,plataforma,المنصة,jukwaa"),
    (Body("partners"), "partner,partenaires,partenaire,socios,parceiros,الشركاء,washirika"),
    (Body("accreditedBy"), "accreditation,accrédité par,acreditado por,معتمد من,imeidhinishwa na"),
    (Body("duration"), "length,durée,duración,duração,مدة,المدة,muda"),
    (Body("workload"), "effort,hours,study time,charge de travail,volume horaire,heures,carga horaria,horas,carga horária,\
        عدد الساعات,الساعات,saa,saa za masomo"),
    (Body("prerequisites"), "prerequisite,requirements,prérequis,pré-requis,requisitos,requisitos previos,pré-requisitos,\
        المتطلبات,المتطلبات المسبقة,mahitaji,masharti ya awali"),
    (Body("eligibility"), "who can apply,éligibilité,conditions d'admission,elegibilidad,elegibilidade,الأهلية,شروط القبول,ustahiki"),
    (Body("instances.start"), "start,start date,starts,starts on,begin,begins,from,date,début,date de début,date de commencement,\
        inicio,fecha de inicio,fecha,início,data de início,data,البداية,تاريخ البدء,تاريخ البداية,التاريخ,mwanzo,tarehe,tarehe ya kuanza"),
    (Body("instances.end"), "end,end date,ends,ends on,until,finish,fin,date de fin,fecha de fin,fecha final,fecha de finalización,\
        fim,data de fim,data final,data de término,النهاية,تاريخ الانتهاء,تاريخ النهاية,mwisho,tarehe ya mwisho"),
    (Body("instances.enrolUntil"), "enrol until,enroll until,enrolment deadline,registration deadline,deadline,apply by,\
        date limite,date limite d'inscription,fecha límite,plazo de inscripción,prazo,prazo de inscrição,data limite,\
        آخر موعد للتسجيل,mwisho wa kujiandikisha,mwisho wa usajili"),
    (Body("instances.seats"), "seats,places available,max participants,nombre de places,places,plazas,cupo,cupos,vagas,\
        مقاعد,المقاعد,عدد المقاعد,nafasi"),
    (Place("name"), "place,venue,location,lieu,endroit,lugar,sede,ubicación,local,مكان,المكان,mahali,ukumbi"),
    (Place("locality"), "city,town,locality,ville,localité,ciudad,localidad,cidade,localidade,مدينة,المدينة,mji,jiji"),
    (Place("address"), "address,street address,adresse,dirección,endereço,morada,العنوان البريدي,anwani"),
    (Place("openingHours"), "opening hours,horaires,heures d'ouverture,horario,horário,ساعات العمل,saa za kazi"),
    (Place("latitude"), "latitude,lat,latitud,خط العرض,latitudo"),
    (Place("longitude"), "longitude,lon,lng,long,longitud,خط الطول,longitudo"),
    (Body("licence"), "license,rights,licencia,licença,رخصة,الترخيص,leseni"),
    (Body("tutor"), "tutored,tutoring,tuteur,tutorat,tutoría,tutoria,مرشد,mkufunzi"),
    (Body("worksOffline"), "offline,hors ligne,sin conexión,sem ligação,بدون إنترنت,nje ya mtandao"),
    (Body("sdgTargets"), "sdg,sdgs,sdg target,odd,ods,أهداف التنمية المستدامة,malengo ya maendeleo endelevu"),
    (Body("sectors"), "sector,dac sector,secteur,secteurs,sectores,setor,setores,القطاع,القطاعات,sekta"),
    (Body("buildingBlocks"), "building block,briques,bloques,blocos"),
    (Body("capacity"), "availability,disponibilité,disponibilidad,disponibilidade,التوفر,upatikanaji"),
    (Body("alternateName"), "acronym,abbreviation,short name,alternate names,sigle,acronyme,siglas,acrónimo,sigla,الاختصار,kifupisho"),
    (Body("repository"), "repo,source code,code repository,dépôt,repositorio,repositório,المستودع,hifadhi"),
    (Body("owners"), "owner,propriétaire,propietario,proprietário,المالك,mmiliki"),
    (Body("funders"), "funder,funded by,financeur,bailleur,financiador,الممول,mfadhili"),
];

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::super::NoLabels;
    use super::*;

    #[test]
    fn no_word_means_two_members() {
        let mut seen: HashMap<String, Target> = HashMap::new();
        for (target, words) in WORDS {
            for word in words.split(',') {
                assert!(!fold(word).is_empty(), "an empty word for {target:?}");
                let before = seen.insert(fold(word), *target);
                assert!(
                    before.is_none_or(|before| before == *target),
                    "{word}: {before:?}, {target:?}"
                );
                let named = by_name(word.trim());
                assert!(
                    named.is_none_or(|named| named == *target),
                    "{word}: {named:?}, {target:?}"
                );
            }
        }
    }

    #[test]
    fn every_target_is_a_member_of_some_record() {
        for (target, _) in WORDS {
            match target {
                Body(path) => assert!(members::paths().any(|known| known == *path), "{path}"),
                Place(part) => {
                    let path = format!("place.{part}");
                    assert!(members::paths().any(|known| known == path), "{path}");
                }
                _ => {}
            }
        }
    }

    #[test]
    fn headers_are_known_in_six_languages_whatever_their_spelling() {
        for (member, headers) in [
            (
                "name",
                vec![
                    "title",
                    "TITLE *",
                    "Titre (obligatoire)",
                    "Intitulé",
                    "Nombre",
                    "título",
                    "الاسم",
                    "Jina la kozi",
                ],
            ),
            (
                "url",
                vec![
                    "link",
                    "URL",
                    "lien",
                    "enlace",
                    "hiperligação",
                    "الرابط",
                    "kiungo",
                ],
            ),
            (
                "language",
                vec!["lang", "Langue", "idioma", "língua", "اللغه", "lugha"],
            ),
            (
                "areas",
                vec!["subject", "Thème", "categoría", "assunto", "المجال", "somo"],
            ),
            (
                "instances.start",
                vec![
                    "Start date",
                    "start_date",
                    "startDate",
                    "fecha de inicio",
                    "date de debut",
                ],
            ),
            (
                "cost.kind",
                vec!["cost", "body.cost", "coût", "custo", "gharama"],
            ),
            ("localId", vec!["id", "course_id", "Identifiant"]),
        ] {
            for header in headers {
                let found = meaning(header, &NoLabels).map(|meaning| meaning.member());
                assert_eq!(found.as_deref(), Some(member), "{header}");
            }
        }
        assert_eq!(meaning("favourite colour", &NoLabels), None);
        assert_eq!(meaning("", &NoLabels), None);
    }

    #[test]
    fn the_columns_that_most_tables_have_are_known_in_five_languages() {
        for (member, words) in [
            ("name", "title,titre,título,título,العنوان"),
            ("description", "details,détails,descripción,descrição,الوصف"),
            ("summary", "abstract,résumé,resumen,resumo,ملخص"),
            ("url", "link,lien,enlace,ligação,الرابط"),
            ("language", "lang,langue,idioma,língua,اللغة"),
            (
                "languages",
                "teaching languages,langues,idiomas,línguas,اللغات",
            ),
            (
                "kind",
                "offer type,type d'offre,tipo de oferta,tipo de oferta,نوع العرض",
            ),
            ("areas", "subject,domaine,tema,assunto,المجال"),
            ("topics", "topic,sous-thème,subtema,subtema,الموضوع الفرعي"),
            (
                "audiences",
                "target group,public cible,público objetivo,público-alvo,الفئة المستهدفة",
            ),
            ("levels", "level,niveau,nivel,nível,المستوى"),
            (
                "modes",
                "delivery mode,modalité,modalidad,modalidade,طريقة التقديم",
            ),
            ("cost.kind", "cost,coût,costo,custo,التكلفة"),
            ("cost.price", "price,prix,precio,preço,السعر"),
            ("cost.currency", "currency,devise,moneda,moeda,العملة"),
            (
                "certificate.kind",
                "certificate,certificat,certificado,certificação,الشهادة",
            ),
            ("countries", "country,pays,país,países,الدولة"),
            ("regions", "region,région,región,região,المنطقة"),
            (
                "provider",
                "offered by,fournisseur,proveedor,fornecedor,المزود",
            ),
            ("duration", "length,durée,duración,duração,المدة"),
            (
                "prerequisites",
                "requirements,prérequis,requisitos,pré-requisitos,المتطلبات",
            ),
            (
                "instances.start",
                "start date,date de début,fecha de inicio,data de início,تاريخ البدء",
            ),
            (
                "instances.end",
                "end date,date de fin,fecha de fin,data de fim,تاريخ الانتهاء",
            ),
            (
                "instances.enrolUntil",
                "deadline,date limite,fecha límite,prazo,آخر موعد للتسجيل",
            ),
            ("instances.seats", "seats,places,plazas,vagas,المقاعد"),
            ("place.name", "venue,lieu,lugar,local,المكان"),
            ("place.locality", "city,ville,ciudad,cidade,المدينة"),
            ("licence", "license,licence,licencia,licença,الترخيص"),
            (
                "validUntil",
                "expires,expire le,válido hasta,válido até,صالح حتى",
            ),
            ("localId", "id,identifiant,identificador,código,المعرف"),
        ] {
            for word in words.split(',') {
                let found = meaning(word, &NoLabels).map(|meaning| meaning.member());
                assert_eq!(found.as_deref(), Some(member), "{word}");
            }
        }
    }

    #[test]
    fn a_header_may_name_the_language_of_its_texts() {
        for header in [
            "name:fr",
            "name_fr",
            "titre (fr)",
            "Title [fr]",
            "name.fr",
            "nom-fr",
            "body.name:fr",
            "title fr",
        ] {
            let found = meaning(header, &NoLabels).map(|meaning| meaning.member());
            assert_eq!(found.as_deref(), Some("name:fr"), "{header}");
        }
        assert_eq!(
            meaning("name_pt_BR", &NoLabels).unwrap().member(),
            "name:pt-BR"
        );
        assert_eq!(
            meaning("short_description_sw", &NoLabels).unwrap().member(),
            "summary:sw"
        );
        // No language for what is no text.
        assert_eq!(meaning("url:fr", &NoLabels), None);
        assert_eq!(meaning("title_id", &NoLabels).unwrap().target, Id);
    }
}

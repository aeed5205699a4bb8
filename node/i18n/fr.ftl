### Textes des pages, en français. Mêmes identifiants que `en.ftl` ; un test les compare.

## Sur chaque page
own-name = Français
skip = Aller au contenu
nav = Principale
nav-search = Recherche
nav-nodes = Réseau
footer = Un nœud du réseau Baraza : chaque fiche est signée par l’organisation qui propose l’offre.
footer-api = Ce nœud en chiffres (JSON)
unusual = caractères inhabituels
disputed = contestée
site-confirmed = site web confirmé
member-of = membre de { $it }
closed = fermée
not-stated = Non précisé
yes = Oui
no = Non
by = Publié par
organization = Organisation
worldwide = Monde entier
group-ldc = Pays les moins avancés
group-lldc = Pays en développement sans littoral
group-sids = Petits États insulaires en développement
sdg = ODD { $it }

## Nombres et dates
date = { $day ->
    [1] 1er
   *[other] { $day }
} { $month ->
    [m1] janvier
    [m2] février
    [m3] mars
    [m4] avril
    [m5] mai
    [m6] juin
    [m7] juillet
    [m8] août
    [m9] septembre
    [m10] octobre
    [m11] novembre
   *[m12] décembre
} { $year }
from-to = du { $it } au { $other }
until = jusqu’au { $it }
ago-now = à l’instant
ago-minutes = { $n ->
    [one] il y a { $count } minute
   *[other] il y a { $count } minutes
}
ago-hours = { $n ->
    [one] il y a { $count } heure
   *[other] il y a { $count } heures
}
ago-days = { $n ->
    [1] hier
   *[other] il y a { $count } jours
}
years = { $n ->
    [one] { $count } an
   *[other] { $count } ans
}
months = { $count } mois
weeks = { $n ->
    [one] { $count } semaine
   *[other] { $count } semaines
}
days = { $n ->
    [one] { $count } jour
   *[other] { $count } jours
}
hours = { $n ->
    [one] { $count } heure
   *[other] { $count } heures
}
minutes = { $n ->
    [one] { $count } minute
   *[other] { $count } minutes
}
seconds = { $n ->
    [one] { $count } seconde
   *[other] { $count } secondes
}
megabytes = { $count } Mo
and-more = et { $count } de plus

## Accueil
home-lead = Formations, conseils, financements et outils pour les capacités numériques, publiés et signés par les organisations qui les proposent.
home-areas = Domaines
home-newest = Nouveautés
home-newest-all = Tout voir, du plus récent au plus ancien
home-figures = Cet annuaire
home-empty = Rien n’est encore publié ici.
door-need = Je cherche un appui
door-need-what = Parcourir les offres
door-offer = Je propose un appui
door-offer-what = Comment publier ici
figure-offerings = { $n ->
    [one] offre
   *[other] offres
}
figure-organizations = { $n ->
    [one] organisation
   *[other] organisations
}
figure-solutions = { $n ->
    [one] solution
   *[other] solutions
}
figure-nodes = { $n ->
    [one] nœud connu ici
   *[other] nœuds connus ici
}

## Proposer quelque chose
offer-title = Je propose un appui
offer-lead = Chacun publie ses offres sous sa propre clé. Aucun centre n’a à donner son accord, et les fiches restent à leur auteur même s’il change d’hébergeur.
offer-hosted = Sur ce nœud
offer-hosted-how = { $it } peut héberger votre organisation. Adressez-vous à qui l’exploite :
offer-own = Sur votre propre nœud
offer-own-how = Un petit serveur suffit. Ces commandes créent un nœud et publient un fichier avec vos offres :
offer-what = Ce qui se passe ensuite
offer-what-how = Chaque fiche est signée avec votre clé. Les autres nœuds la récupèrent, vérifient la signature et l’affichent avec votre nom et votre hôte. Vous pouvez la modifier ou la retirer à tout moment.

## Recherche
search-label = Que cherchez-vous ?
search-button = Rechercher
search-title = Recherche
search-title-for = Recherche : { $it }
search-fault = Cette recherche ne peut pas être faite.
result-count = { $n ->
    [one] { $count } résultat
   *[other] { $count } résultats
}
chosen = Filtres choisis
chosen-remove = retirer
chosen-clear = Tout retirer
filters = Filtres
filters-apply = Afficher les résultats
facet-area = Domaine
facet-topic = Thème
facet-country = Pays ou région
facet-language = Langue
facet-audience = Pour qui
facet-level = Niveau
facet-mode = Modalité
facet-cost = Coût
facet-kind = Nature
facet-type = Type de fiche
facet-org = Organisation
facet-licence = Licence
facet-certificate = Certificat
facet-sdg = Objectif de développement durable
facet-more = { $n ->
    [one] { $count } autre
   *[other] { $count } autres
}
facet-left-out = { $count } autres ne sont pas affichés : précisez la recherche pour les voir.
sort = Trier par
sort-relevance = Pertinence
sort-newest = Nouveauté
nothing = Rien ne correspond.
nothing-try = Ces recherches sont plus larges :
nothing-without = sans « { $it } »
nothing-without-words = sans les mots « { $it } »
nothing-words = Essayez avec moins de mots, d’autres mots ou une autre orthographe.
nothing-elsewhere = D’autres nœuds en ont peut-être davantage :
first-page = Première page
next-page = Page suivante
near-language = proposé en { $it }
confirmed-on = Confirmé le { $it }
issued-on = Publié le { $it }

## Une fiche
join = Comment participer
find = Où la trouver
join-go = Aller sur
join-where = Ce lien mène à un autre site :
join-text = L’adresse indiquée ne peut pas devenir un lien :
join-none = Aucune adresse n’est indiquée. Adressez-vous à
facts = En bref
dates = Dates
more = En savoir plus
also-in = Textes en d’autres langues
about = À propos de cette fiche
is-over = La période de validité est passée. Cette fiche n’apparaît plus dans les recherches.
paid-by = payé par { $it }
fact-audience = Pour qui
fact-where = Où
fact-excluded = Non disponible dans
fact-language = Langues
fact-subtitles = Sous-titres en
fact-material-languages = Supports en
fact-cost = Coût
fact-mode = Modalité
fact-level = Niveau
fact-duration = Durée
fact-workload = Charge de travail
fact-capacity = Disponibilité
fact-eligibility = Qui peut participer
fact-eligibility-codes = Conditions
fact-prerequisites = Prérequis
fact-certificate = Certificat
fact-amount-min = Montant minimal
fact-amount-max = Montant maximal
fact-opens = Ouverture
fact-closes = Clôture
fact-finance = Type de financement
fact-place = Lieu
fact-opening = Heures d’ouverture
fact-enrol-until = Inscription jusqu’au
fact-seats = Places
fact-area = Domaines
fact-topic = Thèmes
fact-sector = Secteurs
fact-sdg = Cibles des ODD
fact-building-block = Briques technologiques
fact-teaches = Ce que l’on apprend
fact-provider = Assuré par
fact-host = Se déroule chez
fact-partners = Avec
fact-accredited = Accrédité par
fact-tutor = Avec tuteur
fact-offline = Fonctionne hors ligne
fact-size = Taille
fact-accessibility = Accessibilité
fact-solution = Solutions
fact-derived = Adapté de
fact-translation = Traduction de
fact-image = Image
fact-licence = Licence
fact-repository = Code source
fact-deployed = Déployé dans
fact-interface-languages = Langues
fact-maturity = Maturité
fact-dpg = Bien public numérique
fact-owners = Maintenu par
fact-use-cases = Usages
fact-record-licence = Licence de cette fiche
fact-original-language = Langue d’origine
fact-sources = Sources
hidden-title = Non affichée ici
hidden-why = L’exploitant de ce nœud a choisi le { $it } de ne pas afficher cette fiche. D’autres nœuds peuvent l’afficher. Raison donnée :
hidden-ask = Pour toute question :
withdrawn-title = Cette fiche a été retirée
withdrawn-why = Son auteur l’a reprise. Il reste l’avis signé de ce retrait.
unknown-type-title = Cette fiche ne peut pas être affichée
unknown-type-why = Elle est d’un type que ce nœud ne connaît pas encore. Elle est conservée et transmise avec sa signature :
faulty-title = Cette fiche n’est pas affichée
faulty-why = Sa signature est bonne, mais son contenu n’a pas la forme de son type :
technical-title = Une fiche technique
technical-why = Elle est destinée aux programmes : elle dit combien de fiches a son auteur, pour que chacun puisse voir s’il en manque.

## Confiance
trust = Qui s’en porte garant
trust-path = De l’auteur à cette page :
path-author = Auteur
path-key = Clé
path-version = Version
path-tombstone = Retrait, version
path-issued = signée le { $it }
path-node = Vérifié par
check-good = La signature et la clé ont été vérifiées pendant la création de cette page : elles concordent.
check-failed = La vérification a échoué :
trust-confirmed = Dernière confirmation par l’auteur
trust-never = Jamais
trust-valid = Valable jusqu’au
trust-expired = Était valable jusqu’au
trust-received = Reçu ici
trust-own = Publié sur ce nœud.
trust-foreign = Récupéré depuis un autre nœud.
trust-hash = Empreinte
versions = { $n ->
    [one] { $count } version connue
   *[other] { $count } versions connues
}
versions-left = et { $count } plus anciennes
version = Version
version-received = Reçue
version-withdrawn = (retirée)
link-signed = La fiche signée (JSON)
link-history = Son historique (JSON)
link-log = Le journal des clés de l’auteur (did:webvh)
disputed-why = Deux versions du journal des clés de cet auteur circulent : quelqu’un d’autre détient peut-être l’une de ses clés. Vérifiez auprès de l’organisation avant de vous y fier.
pinned-why = L’exploitant de ce nœud a choisi celle qui vaut ici.
closed-why = L’auteur a fermé cette identité : rien de ce qu’elle a signé ne compte plus.
twins-why = Cet auteur a signé deux versions différentes sous un même numéro.
incomplete-why = Certaines fiches de cet auteur n’ont pas encore pu être prises en compte.
full-why = Ce nœud a autant de fiches de cette organisation qu’il en accepte d’une seule ; les plus récentes sont chez elle.
complete-as-of = Complet ici au { $it } : tout ce que l’organisation disait avoir à cette date est ici.
lacking-why = D’après le décompte de l’organisation du { $it }, il manque ici des fiches : { $other }. Ceux qui ont remis ce décompte à ce nœud les retiennent ou ne les ont pas non plus.
held-of-named = { $it } sur { $other } sont ici

## Une organisation
profile = Profil
about-profile = À propos de ce profil
looks-like = Une autre organisation porte un nom qui ressemble à celui-ci. Comparez les adresses :
no-profile = Cette organisation ne s’est pas encore présentée.
withdrawn-profile = Cette organisation a retiré sa présentation.
offer-count = { $n ->
    [0] Rien n’est proposé actuellement
    [one] { $count } offre
   *[other] { $count } offres
}
keys = Clés
keys-what = Une organisation est son journal de clés, quels que soient son nom ou son hôte. Seul compte ce qu’une clé inscrite a signé.
keys-entry = Entrée
keys-date = Date
keys-keys = Clés des fiches
keys-host = Servi à
keys-closing = L’identité a été fermée.
keys-left-out = Le journal est long : seule son entrée la plus récente est affichée.
keys-did = Identifiant :
fact-also-called = Autres noms
fact-works-in = Pays d’intervention
fact-works-in-languages = Langues
fact-works-with = Publics
fact-capabilities = Compétences
fact-website = Site web
fact-same-as = Ailleurs
fact-contact = Contact
fact-part-of = Fait partie de
fact-member-of = Membre de
fact-funders = Financée par
fact-commercial = Intérêt commercial

## Le réseau
network-title = Réseau
network-lead = Chaque organisation exploite un nœud ou y est hébergée. Les nœuds échangent des fiches signées et les vérifient. Personne ne possède le réseau.
network-alone = Ce nœud n’en connaît pas encore d’autre.
network-here = Ce nœud
network-follow = Pour suivre ce nœud, donnez cette adresse au vôtre :
peer-count = { $n ->
    [0] Aucun autre nœud
    [one] { $count } autre nœud
   *[other] { $count } autres nœuds
}
graph-title = Ce nœud et ceux qu’il connaît
graph-desc = Une ligne mène de ce nœud à chacun des autres. Le tableau contient les mêmes faits.
graph-legend = Ligne : ce nœud y récupère des fiches. Ligne pointillée : il n’en récupère pas. Plein : a répondu la dernière fois. Anneau : pas encore entendu. Triangle : le dernier essai a échoué, ou l’un bloque l’autre.
graph-self = ce nœud
peer = Nœud
peer-relation = Relation
peer-heard = Dernier contact
peer-received = Fiches reçues
peer-refused = Refusées
peer-followed = Suivi par ce nœud
peer-known = Connu, non suivi
peer-follower = Suit ce nœud
peer-filter = En partie :
peer-never = Jamais
peer-error = Dernier essai :
peer-refusal = Dernier refus :
peer-allowed = Autorisé à envoyer des fiches et à suivre
peer-blocked = Bloqué ici ; rien n’est échangé avec lui.
peer-blocks-us = Il bloque ce nœud. Il dit :
peer-turns-away = Il ne traite pas encore avec ce nœud. Il dit :
known-nodes = Connus par leur carte
known-nodes-what = Ces nœuds disent eux-mêmes ce qu’ils sont, dans des fiches signées venues d’autres nœuds. Personne ici ne l’a vérifié, et aucun n’est suivi pour autant.
card-records = { $n ->
    [one] { $count } fiche
   *[other] { $count } fiches
}
card-contested = Deux identités revendiquent cette adresse.
named-by = nommé par
named-by-itself = nommé par lui-même
delivery-told = Informé de toutes les modifications.
delivery-behind = { $n ->
    [one] Une modification n’est pas encore envoyée.
   *[other] { $count } modifications ne sont pas encore envoyées.
}
delivery-pulled = N’accepte pas les envois ; il trouve les modifications en les récupérant.
delivery-taken = Dernier envoi accepté : { $it }.
delivery-next = { $n ->
    [one] Prochain essai d’ici une minute.
   *[other] Prochain essai dans { $count } minutes.
}
delivery-error = Dernier envoi :
delivery-others = { $n ->
    [one] Un autre serveur est informé des modifications.
   *[other] { $count } autres serveurs sont informés des modifications.
}
newcomers = Nouveaux ici
newcomers-what = Rien n’a encore été décidé au sujet de ces nœuds. Ils lisent comme tout le monde ce qui est public.
newcomer-follow = attend de pouvoir suivre ce nœud, depuis le { $it }
newcomer-send = attend de pouvoir envoyer des fiches, depuis le { $it }
newcomer-new = envoie des fiches, depuis le { $it }
newcomers-left = { $n ->
    [one] Un autre n’est pas affiché.
   *[other] { $n } autres ne sont pas affichés.
}
blocked-authors = Organisations non relayées
blocked-authors-what = L’exploitant de ce nœud a choisi de ne pas les relayer. Les autres nœuds décident pour eux-mêmes.
peer-holds-back = Donne moins que ces organisations n’ont compté :
census-records = Fiches affichées
census-authors = Organisations connues
census-withdrawn = Fiches retirées
census-held = Versions conservées
census-parked = En attente d’une clé ou d’une date
census-refused = Refusées
census-changes = Changements à ce jour
census-state = Empreinte de tout ce que ce nœud conserve ; deux nœuds qui ont les mêmes fiches ont la même :

## Problèmes
problem-title = Problème
problem-not-found = Il n’y a rien à cette adresse.
problem-unavailable = Ce n’est pas possible pour l’instant. Réessayez dans un moment.
problem-refused = Cette demande ne peut pas recevoir de réponse.
problem-internal = Une erreur s’est produite ici.
problem-home = Vers la première page

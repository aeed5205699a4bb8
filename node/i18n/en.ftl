### Texts of the pages, in English. `fr.ftl` has the same ids; a test compares them.
### $n is a number and chooses the form, $count the same number as it is written, $it something named.

## On every page
own-name = English
skip = Skip to the content
nav = Main
nav-search = Search
nav-nodes = Network
footer = A node of the Baraza network: every record here is signed by the organisation that offers it.
footer-api = This node in figures (JSON)
unusual = unusual characters
disputed = disputed
site-confirmed = website confirmed
member-of = member of { $it }
closed = closed
not-stated = Not stated
yes = Yes
no = No
by = Published by
organization = Organisation
worldwide = Worldwide
group-ldc = Least developed countries
group-lldc = Landlocked developing countries
group-sids = Small island developing States
sdg = SDG { $it }

## Numbers and dates
date = { $day } { $month ->
    [m1] January
    [m2] February
    [m3] March
    [m4] April
    [m5] May
    [m6] June
    [m7] July
    [m8] August
    [m9] September
    [m10] October
    [m11] November
   *[m12] December
} { $year }
from-to = { $it } to { $other }
until = until { $it }
ago-now = just now
ago-minutes = { $n ->
    [one] { $count } minute ago
   *[other] { $count } minutes ago
}
ago-hours = { $n ->
    [one] { $count } hour ago
   *[other] { $count } hours ago
}
ago-days = { $n ->
    [one] yesterday
   *[other] { $count } days ago
}
years = { $n ->
    [one] { $count } year
   *[other] { $count } years
}
months = { $n ->
    [one] { $count } month
   *[other] { $count } months
}
weeks = { $n ->
    [one] { $count } week
   *[other] { $count } weeks
}
days = { $n ->
    [one] { $count } day
   *[other] { $count } days
}
hours = { $n ->
    [one] { $count } hour
   *[other] { $count } hours
}
minutes = { $n ->
    [one] { $count } minute
   *[other] { $count } minutes
}
seconds = { $n ->
    [one] { $count } second
   *[other] { $count } seconds
}
megabytes = { $count } MB
and-more = and { $count } more

## Home
home-lead = Training, advice, funding and tools for digital capacity, published and signed by the organisations that offer them.
home-areas = Focus areas
home-newest = Newest
home-newest-all = All, newest first
home-figures = This directory
home-empty = Nothing has been published here yet.
door-need = I need support
door-need-what = Look through what is offered
door-offer = I offer support
door-offer-what = How to publish here
figure-offerings = { $n ->
    [one] offering
   *[other] offerings
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
    [one] node known here
   *[other] nodes known here
}

## Offering something
offer-title = I offer support
offer-lead = Whoever offers something publishes it under their own key. No centre has to agree, and the record stays theirs when they move.
offer-hosted = On this node
offer-hosted-how = { $it } can host your organisation. Ask whoever runs it:
offer-own = On a node of your own
offer-own-how = A small server is enough. These commands make a node and publish a file with your offerings:
offer-what = What happens then
offer-what-how = Every record is signed with your key. Other nodes fetch it, check the signature and show it with your name and your host. You can change or withdraw it at any time.

## Search
search-label = What are you looking for?
search-button = Search
search-title = Search
search-title-for = Search: { $it }
search-fault = This search cannot be made.
result-count = { $n ->
    [one] { $count } result
   *[other] { $count } results
}
chosen = Chosen filters
chosen-remove = remove
chosen-clear = Remove all
filters = Filters
filters-apply = Show results
facet-area = Focus area
facet-topic = Topic
facet-country = Country or region
facet-language = Language
facet-audience = For whom
facet-level = Level
facet-mode = How it takes place
facet-cost = Cost
facet-kind = Kind
facet-type = Type of record
facet-org = Organisation
facet-licence = Licence
facet-certificate = Certificate
facet-sdg = Sustainable Development Goal
facet-more = { $n ->
    [one] { $count } more
   *[other] { $count } more
}
facet-left-out = { $count } more are not listed: narrow the search to see them.
sort = Sort by
sort-relevance = Best fit
sort-newest = Newest
nothing = Nothing fits.
nothing-try = These searches are wider:
nothing-without = without “{ $it }”
nothing-without-words = without the words “{ $it }”
nothing-words = Try fewer or other words, or another spelling.
nothing-elsewhere = Other nodes may have more:
first-page = First page
next-page = Next page
near-language = offered in { $it }
confirmed-on = Confirmed { $it }
issued-on = Published { $it }

## A record
join = How to join
find = Where to find it
join-go = Go to
join-where = This leads to another site:
join-text = The address given is not one that can be linked:
join-none = No address was given. Ask
facts = At a glance
dates = Dates
more = More about it
also-in = Texts in other languages
about = About this record
is-over = The time for which this was valid is over. It no longer appears in searches.
paid-by = paid by { $it }
fact-audience = For whom
fact-where = Where
fact-excluded = Not available in
fact-language = Languages
fact-subtitles = Subtitles in
fact-material-languages = Material in
fact-cost = Cost
fact-mode = How
fact-level = Level
fact-duration = Duration
fact-workload = Workload
fact-capacity = Availability
fact-eligibility = Who may take part
fact-eligibility-codes = Conditions
fact-prerequisites = What to bring
fact-certificate = Certificate
fact-amount-min = Smallest amount
fact-amount-max = Largest amount
fact-opens = Opens
fact-closes = Closes
fact-finance = Kind of finance
fact-place = Place
fact-opening = Opening hours
fact-enrol-until = Enrol until
fact-seats = Seats
fact-area = Focus areas
fact-topic = Topics
fact-sector = Sectors
fact-sdg = SDG targets
fact-building-block = Building blocks
fact-teaches = What one learns
fact-provider = Provided by
fact-host = Takes place at
fact-partners = With
fact-accredited = Accredited by
fact-tutor = A tutor helps
fact-offline = Works offline
fact-size = Size
fact-accessibility = Accessibility
fact-solution = Solutions
fact-derived = Adapted from
fact-translation = Translation of
fact-image = Picture
fact-licence = Licence
fact-repository = Source
fact-deployed = Deployed in
fact-interface-languages = Languages
fact-maturity = Maturity
fact-dpg = Digital public good
fact-owners = Kept by
fact-use-cases = Used for
fact-record-licence = Licence of this record
fact-original-language = Original language
fact-sources = Sources
hidden-title = Not shown here
hidden-why = The operator of this node chose on { $it } not to show this record. Other nodes may show it. The reason given:
hidden-ask = Ask about it:
withdrawn-title = This record was withdrawn
withdrawn-why = Its author took it back. What remains is the signed notice that it did.
unknown-type-title = This record cannot be shown
unknown-type-why = It is of a type that this node does not know yet. It is kept and passed on with its signature:
faulty-title = This record is not shown
faulty-why = Its signature is good, but what it says does not have the form of its type:
technical-title = A technical record
technical-why = It is for programs: it says how many records its author has, so that anyone can notice when some are held back.

## Trust
trust = Who vouches for this
trust-path = From the author to this page:
path-author = Author
path-key = Key
path-version = Version
path-tombstone = Withdrawal, version
path-issued = signed { $it }
path-node = Checked by
check-good = Signature and key were checked while this page was made: they fit.
check-failed = The check failed:
trust-confirmed = Last confirmed by its author
trust-never = Never
trust-valid = Valid until
trust-expired = Was valid until
trust-received = Received here
trust-own = Published on this node.
trust-foreign = Fetched from another node.
trust-hash = Hash
versions = { $n ->
    [one] { $count } version known
   *[other] { $count } versions known
}
versions-left = and { $count } older
version = Version
version-received = Received
version-withdrawn = (withdrawn)
link-signed = The signed record (JSON)
link-history = Its history (JSON)
link-log = The author’s key log (did:webvh)
disputed-why = Two versions of this author’s key log are in circulation: somebody else may hold one of its keys. Check with the organisation before you rely on this.
pinned-why = The operator of this node chose which one it goes by.
closed-why = The author has closed this identity: nothing of it counts any more.
twins-why = This author has signed two different versions under one number.
incomplete-why = Some records of this author could not be taken in yet.
full-why = This node has as many records of this organisation as it takes of one; newer ones are at its home.
complete-as-of = Complete here as of { $it }: all that the organisation said it had then is here.
lacking-why = By the organisation’s own count of { $it }, records of it are missing here: { $other }. Whoever gave that count to this node holds them back or lacks them, too.
held-of-named = { $it } of { $other } are here

## An organisation
profile = Profile
about-profile = About this profile
looks-like = Another organisation has a name that looks like this one. Compare the addresses:
no-profile = This organisation has not described itself yet.
withdrawn-profile = This organisation has withdrawn its description.
offer-count = { $n ->
    [0] Nothing is offered at present
    [one] { $count } offer
   *[other] { $count } offers
}
keys = Keys
keys-what = An organisation is its key log, whatever its name or host. Only what a listed key signed counts.
keys-entry = Entry
keys-date = Date
keys-keys = Record keys
keys-host = Served at
keys-closing = The identity was closed.
keys-left-out = The log is long: only its newest entry is shown.
keys-did = Identifier:
fact-also-called = Also called
fact-works-in = Works in
fact-works-in-languages = Languages
fact-works-with = Works with
fact-capabilities = Capabilities
fact-website = Website
fact-same-as = Elsewhere
fact-contact = Contact
fact-part-of = Part of
fact-member-of = Member of
fact-funders = Funded by
fact-commercial = Commercial interest

## The network
network-title = Network
network-lead = Each organisation runs a node or is hosted on one. Nodes fetch signed records from each other and check them. Nobody owns the network.
network-alone = This node does not know any other yet.
network-here = This node
network-follow = To follow this node, give this address to yours:
peer-count = { $n ->
    [0] No other nodes
    [one] { $count } other node
   *[other] { $count } other nodes
}
graph-title = This node and those that it knows
graph-desc = A line leads from this node to each of the others. The table has the same facts.
graph-legend = Line: this node fetches records from there. Dashed line: it does not. Filled: answered last time. Ring: not heard yet. Triangle: the last attempt failed, or one blocks the other.
graph-self = this node
peer = Node
peer-relation = Relation
peer-heard = Last heard
peer-received = Records received
peer-refused = Refused
peer-followed = Followed by this node
peer-known = Known, not followed
peer-follower = Follows this node
peer-filter = In part:
peer-never = Never
peer-error = Last attempt:
peer-refusal = Last refusal:
peer-allowed = Allowed to send records and to follow
peer-blocked = Blocked here; nothing is exchanged with it.
peer-blocks-us = This node is blocked by it. It says:
peer-turns-away = It does not deal with this node yet. It says:
known-nodes = Known by their cards
known-nodes-what = These nodes say of themselves what they are, in signed records that came from others. Nobody here has checked it, and none is followed because of it.
card-records = { $n ->
    [one] { $count } record
   *[other] { $count } records
}
card-contested = Two identities claim this address.
named-by = named by
named-by-itself = named by itself
delivery-told = It was told of every change.
delivery-behind = { $n ->
    [one] One change is not sent yet.
   *[other] { $count } changes are not sent yet.
}
delivery-pulled = It does not take what is sent, and finds changes by fetching them.
delivery-taken = It last took something { $it }.
delivery-next = { $n ->
    [one] Next attempt within a minute.
   *[other] Next attempt in { $count } minutes.
}
delivery-error = Last delivery:
delivery-others = { $n ->
    [one] One other server is told of changes.
   *[other] { $count } other servers are told of changes.
}
newcomers = New here
newcomers-what = Nothing was decided about these nodes yet. What is public they can read like everyone else.
newcomer-follow = waits to follow this node, since { $it }
newcomer-send = waits to send records, since { $it }
newcomer-new = sends records, since { $it }
newcomers-left = { $n ->
    [one] One more is not listed.
   *[other] { $n } more are not listed.
}
blocked-authors = Organisations that are not carried
blocked-authors-what = The operator of this node chose not to carry them. Other nodes decide for themselves.
peer-holds-back = Gives less than these organisations counted:
census-records = Records shown
census-authors = Organisations known
census-withdrawn = Withdrawn records
census-held = Versions held
census-parked = Waiting for a key or a date
census-refused = Refused
census-changes = Changes so far
census-state = Fingerprint of all that this node holds; two nodes with the same records have the same:

## Problems
problem-title = Problem
problem-not-found = There is nothing at this address.
problem-unavailable = This is not possible just now. Please try again in a moment.
problem-refused = This request cannot be answered.
problem-internal = Something went wrong here.
problem-home = To the first page

"""The words on a bill in German, French and Dutch."""

from typing import Final

from gateway.domain.bill_labels import ENGLISH, Labels, Why
from gateway.domain.tariff_terms import Dimension

GERMAN: Final = Labels(
    language="de",
    decimal_point=",",
    bill="Rechnung",
    proposal="Entwurf einer Rechnung",
    settled="Endgültige Rechnung",
    held="Nicht endgültig: Diese Rechnung wird geprüft",
    waived="Erlassen: Es ist nichts zu zahlen",
    decided="Der Betreiber hat sie angesehen: {reason}",
    money_back="Bis sie jemand angesehen hat, ist nichts zu zahlen. Die Beträge unten"
    " sind ein Entwurf und können sich ändern.",
    no_bill="Noch kann kein Betrag berechnet werden.",
    why_held="Warum sie geprüft wird",
    why={
        Why.METER: "Die Zählerstände dieses Ladevorgangs sind unvollständig oder"
        " ungewöhnlich.",
        Why.CLOCK: "Die Uhr der Ladestation ging falsch, und die Preise hängen von ihr"
        " ab.",
        Why.PRICE: "Der Preis dieses Ladevorgangs ist nicht klar.",
        Why.SIGNATURE: "Die Signatur des Zählers konnte nicht bestätigt werden.",
        Why.CHECK: "Diesen Ladevorgang muss sich jemand ansehen.",
    },
    issuer="Ausgestellt von",
    site="Standort",
    charger="Ladepunkt",
    card="Karte",
    number="Nummer",
    date="Datum",
    started="Beginn des Ladens",
    ended="Ende des Ladens",
    energy="Energie",
    total="Zu zahlen",
    draft="Betrag im Entwurf",
    used="Was verbraucht wurde",
    dimensions={
        Dimension.ENERGY: "Energie",
        Dimension.TIME: "Zeit mit Laden",
        Dimension.PARKING_TIME: "Zeit ohne Laden",
        Dimension.FLAT: "Gebühr je Ladevorgang",
    },
    what="Wofür",
    volume="Menge",
    price="Preis",
    net="Netto",
    vat="MwSt.",
    vat_rate="Steuersatz",
    gross="Brutto",
    steps="verbraucht: {volume}",
    least="Bis zum Mindestpreis des Tarifs",
    most="Bis zum Höchstpreis des Tarifs",
    rounding="Rundung",
    sum="Summe",
    taxes="MwSt. nach Satz",
    tax_free="Die MwSt. ist im Preis enthalten; der Tarif nennt ihren Satz nicht.",
    meter="Zähler",
    meter_serial="Seriennummer",
    unknown="nicht bekannt",
    time="Zeit",
    register="Zählerstand",
    at_start="am Beginn",
    at_end="am Ende",
    parts="Energie nach Preis und Zeit",
    since="Von",
    until="Bis",
    parts_left="{n} weitere in der Rechnung als JSON",
    signature="Signatur des Zählers",
    signed="Beginn und Ende hat der Zähler signiert; die Signaturen wurden mit dem"
    " Schlüssel geprüft, den der Betreiber am Zähler abgelesen hat.",
    unsigned="Dieser Zähler sendet keine Signaturen.",
    unverified="Es gibt signierte Werte, sie konnten aber nicht bestätigt werden.",
    failed="Die signierten Werte haben die Prüfung nicht bestanden.",
    checking="So lässt sich diese Rechnung prüfen",
    tariff="Tarif",
    tariff_hash="SHA-256 der Preise",
    bill_hash="SHA-256 der Rechnung",
    leaf="Abrechnung, Blatt des Logs",
    chain="Auf der Chain",
    waiting="wartet auf die Verankerung",
    verify="Den Beleg speichern und {command} ausführen. Das berechnet die Rechnung aus"
    " den versiegelten Zählerständen neu und braucht weder uns noch den Betreiber.",
    receipt="Beleg zum Aufheben und Prüfen",
    verify_here="Diese Rechnung prüfen",
    credits_="Gutschriften",
    reason="Grund",
    amount="Betrag",
    left="Bleibt zu zahlen",
    per_kwh="{price} pro kWh",
    per_hour="{price} pro Stunde",
    per_session="{price} pro Ladevorgang",
    pdf="Als PDF speichern",
    back="Zurück",
    page="Seite {n} von {all}",
)

FRENCH: Final = Labels(
    language="fr",
    decimal_point=",",
    bill="Facture",
    proposal="Projet de facture",
    settled="Facture définitive",
    held="Provisoire : cette facture est en cours de contrôle",
    waived="Abandonnée : il n'y a rien à payer",
    decided="L'exploitant l'a examinée : {reason}",
    money_back="Rien n'est dû tant que personne ne l'a examinée. Les montants"
    " ci-dessous sont un projet et peuvent changer.",
    no_bill="Aucun montant ne peut encore être calculé.",
    why_held="Pourquoi elle est contrôlée",
    why={
        Why.METER: "Les relevés du compteur de cette session sont incomplets ou"
        " inhabituels.",
        Why.CLOCK: "L'horloge de la borne n'était pas juste, et les prix en dépendent.",
        Why.PRICE: "Le prix de cette session n'est pas clair.",
        Why.SIGNATURE: "La signature du compteur n'a pas pu être confirmée.",
        Why.CHECK: "Quelqu'un doit examiner cette session.",
    },
    issuer="Émise par",
    site="Site",
    charger="Point de charge",
    card="Carte",
    number="Numéro",
    date="Date",
    started="Début de la charge",
    ended="Fin de la charge",
    energy="Énergie",
    total="À payer",
    draft="Montant provisoire",
    used="Ce qui a été consommé",
    dimensions={
        Dimension.ENERGY: "Énergie",
        Dimension.TIME: "Temps de charge",
        Dimension.PARKING_TIME: "Temps sans charge",
        Dimension.FLAT: "Frais par session",
    },
    what="Pour",
    volume="Quantité",
    price="Prix",
    net="HT",
    vat="TVA",
    vat_rate="Taux de TVA",
    gross="TTC",
    steps="consommé : {volume}",
    least="Jusqu'au prix minimum du tarif",
    most="Jusqu'au prix maximum du tarif",
    rounding="Arrondi",
    sum="Total",
    taxes="TVA par taux",
    tax_free="La TVA est comprise dans le prix ; le tarif n'en indique pas le taux.",
    meter="Compteur",
    meter_serial="Numéro de série",
    unknown="inconnu",
    time="Heure",
    register="Index",
    at_start="au début",
    at_end="à la fin",
    parts="Énergie par prix et par période",
    since="De",
    until="À",
    parts_left="{n} de plus dans la facture en JSON",
    signature="Signature du compteur",
    signed="Le début et la fin sont signés par le compteur ; les signatures ont été"
    " vérifiées avec la clé que l'exploitant a relevée sur le compteur.",
    unsigned="Ce compteur n'envoie pas de signatures.",
    unverified="Il y a des relevés signés, mais ils n'ont pas pu être confirmés.",
    failed="Les relevés signés n'ont pas passé le contrôle.",
    checking="Comment vérifier cette facture",
    tariff="Tarif",
    tariff_hash="SHA-256 des prix",
    bill_hash="SHA-256 de la facture",
    leaf="Règlement, feuille du journal",
    chain="Sur la chaîne",
    waiting="attend son ancrage",
    verify="Enregistrez le reçu et lancez {command}. La facture est recalculée à partir"
    " des index scellés, sans nous ni l'exploitant.",
    receipt="Reçu à garder et à vérifier",
    verify_here="Vérifier cette facture",
    credits_="Avoirs",
    reason="Motif",
    amount="Montant",
    left="Reste à payer",
    per_kwh="{price} par kWh",
    per_hour="{price} par heure",
    per_session="{price} par session",
    pdf="Enregistrer en PDF",
    back="Retour",
    page="Page {n} sur {all}",
)

DUTCH: Final = Labels(
    language="nl",
    decimal_point=",",
    bill="Rekening",
    proposal="Concept van een rekening",
    settled="Definitieve rekening",
    held="Niet definitief: deze rekening wordt gecontroleerd",
    waived="Kwijtgescholden: u hoeft niets te betalen",
    decided="De exploitant heeft ernaar gekeken: {reason}",
    money_back="Tot iemand ernaar heeft gekeken, hoeft u niets te betalen. De bedragen"
    " hieronder zijn een concept en kunnen veranderen.",
    no_bill="Er kan nog geen bedrag worden berekend.",
    why_held="Waarom ze wordt gecontroleerd",
    why={
        Why.METER: "De meterstanden van deze sessie zijn onvolledig of ongewoon.",
        Why.CLOCK: "De klok van het laadpunt liep niet goed, en de prijzen hangen ervan"
        " af.",
        Why.PRICE: "De prijs van deze sessie is niet duidelijk.",
        Why.SIGNATURE: "De handtekening van de meter kon niet worden bevestigd.",
        Why.CHECK: "Iemand moet naar deze sessie kijken.",
    },
    issuer="Uitgegeven door",
    site="Locatie",
    charger="Laadpunt",
    card="Kaart",
    number="Nummer",
    date="Datum",
    started="Begin van het laden",
    ended="Einde van het laden",
    energy="Energie",
    total="Te betalen",
    draft="Bedrag in concept",
    used="Wat is verbruikt",
    dimensions={
        Dimension.ENERGY: "Energie",
        Dimension.TIME: "Tijd met laden",
        Dimension.PARKING_TIME: "Tijd zonder laden",
        Dimension.FLAT: "Kosten per sessie",
    },
    what="Waarvoor",
    volume="Hoeveelheid",
    price="Prijs",
    net="Excl. btw",
    vat="Btw",
    vat_rate="Btw-tarief",
    gross="Incl. btw",
    steps="verbruikt: {volume}",
    least="Tot de minimumprijs van het tarief",
    most="Tot de maximumprijs van het tarief",
    rounding="Afronding",
    sum="Totaal",
    taxes="Btw per tarief",
    tax_free="De btw is in de prijs inbegrepen; het tarief noemt het percentage niet.",
    meter="Meter",
    meter_serial="Serienummer",
    unknown="niet bekend",
    time="Tijd",
    register="Meterstand",
    at_start="aan het begin",
    at_end="aan het einde",
    parts="Energie per prijs en tijd",
    since="Van",
    until="Tot",
    parts_left="nog {n} in de rekening als JSON",
    signature="Handtekening van de meter",
    signed="Begin en einde zijn door de meter ondertekend; de handtekeningen zijn"
    " gecontroleerd met de sleutel die de exploitant op de meter heeft afgelezen.",
    unsigned="Deze meter stuurt geen handtekeningen.",
    unverified="Er zijn ondertekende standen, maar ze konden niet worden bevestigd.",
    failed="De ondertekende standen hebben de controle niet doorstaan.",
    checking="Zo controleert u deze rekening",
    tariff="Tarief",
    tariff_hash="SHA-256 van de prijzen",
    bill_hash="SHA-256 van de rekening",
    leaf="Afrekening, blad van het logboek",
    chain="Op de keten",
    waiting="wacht op verankering",
    verify="Bewaar het bewijs en voer {command} uit. Dat berekent de rekening opnieuw"
    " uit de verzegelde meterstanden en heeft ons noch de exploitant nodig.",
    receipt="Bewijs om te bewaren en te controleren",
    verify_here="Deze rekening controleren",
    credits_="Teruggaven",
    reason="Reden",
    amount="Bedrag",
    left="Nog te betalen",
    per_kwh="{price} per kWh",
    per_hour="{price} per uur",
    per_session="{price} per sessie",
    pdf="Opslaan als pdf",
    back="Terug",
    page="Pagina {n} van {all}",
)

ALL: Final = {one.language: one for one in (ENGLISH, GERMAN, FRENCH, DUTCH)}


def labels(language: str | None) -> Labels:
    """The words of a language (RFC 5646); English where there are none."""
    primary = (language or "").casefold().replace("_", "-").split("-")[0]
    return ALL.get(primary, ENGLISH)


def preferred(accepted: str | None, otherwise: str) -> str:
    """The language of a bill by what a browser accepts (RFC 9110, 12.5.4).

    Args:
        accepted: The header ``Accept-Language``.
        otherwise: Where it names no language that there are words in.
    """
    weighed: list[tuple[float, str]] = []
    for item in (accepted or "").split(",")[:20]:
        name, _, weight = item.strip().partition(";q=")
        primary = name.strip().casefold().split("-")[0]
        if primary in ALL:
            weighed.append((-_weight(weight), primary))
    best = min(weighed, key=lambda one: one[0], default=None)
    return labels(otherwise).language if best is None or best[0] == 0 else best[1]


def _weight(text: str) -> float:
    try:
        found = float(text or 1)
    except ValueError:
        return 0.0
    return found if 0 <= found <= 1 else 0.0

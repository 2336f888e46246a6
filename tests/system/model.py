# SPDX-License-Identifier: BSD-3-Clause
#
# A slow model of receive connectors, written from the connector reference alone: which connector a
# session gets, which rights it has and why not, and what it is answered. It knows configurations
# as dictionaries of sections and addresses as the lists of domains that they can be routed to, so
# that it needs no parser of its own. Sets, loops and sorting; nothing of it is shared with the
# product. Does not start anything.
"""What a session must see, from a configuration and who asks for what."""
import ipaddress

RIGHTS = {  # right -> the principals that get it from a group: (group, principal)
    'ms-Exch-SMTP-Submit': 'AUEP',
    'ms-Exch-SMTP-Accept-Any-Recipient': 'UE',
    'ms-Exch-SMTP-Accept-Any-Sender': 'AE',
    'ms-Exch-SMTP-Accept-Authoritative-Domain-Sender': 'AE',
    'ms-Exch-SMTP-Accept-Authentication-Flag': 'E',
    'ms-Exch-SMTP-Accept-Exch50': 'E',
    'ms-Exch-Accept-Headers-Routing': 'AUEP',
    'ms-Exch-Accept-Headers-Organization': '',
    'ms-Exch-Accept-Headers-Forest': '',
    'ms-Exch-Bypass-Anti-Spam': 'UE',
    'ms-Exch-Bypass-Message-Size-Limit': 'E',
}
GROUPS = {'AnonymousUsers': ('A', 'anonymous'), 'ExchangeUsers': ('U', 'authenticated'),
          'ExchangeServers': ('E', 'externally-secured'), 'Partners': ('P', 'partner')}
DIALECTS = {
    'submit': ('530 5.7.1 Client was not authenticated',
               '530 5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL '
               'FROM'),
    'relay': ('550 5.7.1 Unable to relay',
              '550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain'),
    'sender': ('550 5.7.1 Client does not have permissions to send as this sender',
               '550 5.7.60 SMTP; Client does not have permissions to send as this sender'),
}
NOT_AS_OWN = '550 5.7.1 Anonymous client does not have permissions to send as this sender'
RESERVED_TOP = ('test', 'example', 'invalid', 'localhost')
RESERVED_SECOND = ('example.com', 'example.net', 'example.org')
# Keyword -> the parameter that offers it.
KEYWORDS = {'PIPELINING': 'PipeliningEnabled', 'DSN': 'DeliveryStatusNotificationEnabled',
            'ENHANCEDSTATUSCODES': 'EnhancedStatusCodesEnabled', '8BITMIME': 'EightBitMimeEnabled',
            'CHUNKING': 'ChunkingEnabled', 'BINARYMIME': 'BinaryMimeEnabled',
            'SMTPUTF8': 'SmtpUtf8Enabled', 'XLONGADDR': 'LongAddressesEnabled',
            'XORAR': 'OrarEnabled'}
OFF = ('LongAddressesEnabled', 'OrarEnabled')  # unless set


def words(text):
    return [word.strip() for word in text.split(',') if word.strip()]


def is_on(section, key, default='yes'):
    return section.get(key, default) == 'yes'


# ---- Addresses ---------------------------------------------------------------------------------

def bounds(text):
    """(first, last) of ADDRESS, ADDRESS/LENGTH or ADDRESS-ADDRESS."""
    if '-' in text:
        first, last = text.split('-')
        return ipaddress.ip_address(first), ipaddress.ip_address(last)
    network = ipaddress.ip_network(text, strict=False)
    return network[0], network[-1]


def holds(text, address):
    first, last = bounds(text)
    return first.version == address.version and first <= address <= last


def width(text):
    first, last = bounds(text)
    return int(last) - int(first) + 1


def listed(config, section, address, today):
    """Is it in an entry of the list that has not expired?"""
    for entry in words(config.get(section, {}).get('Addresses', '')):
        place, _, until = entry.partition(' until ')
        if holds(place, address) and (not until or until > today):
            return True
    return False


# ---- Connectors and rights ---------------------------------------------------------------------

def connectors(config):
    return {name[len('connector '):]: section for name, section in config.items()
            if name.startswith('connector ') and is_on(section, 'Enabled')}


def choose(config, source, destination):
    """Name of the connector, or None. destination: 'IPV4:PORT' or '[IPV6]:PORT'."""
    port = destination.rsplit(':', 1)[1]
    wildcard = f'0.0.0.0:{port}' if source.version == 4 else f'[::]:{port}'
    for binding in (destination, wildcard):
        bound = {name: section for name, section in connectors(config).items()
                 if binding in words(section['Bindings'])}
        if bound:
            found = [(width(text), name) for name, section in bound.items()
                     for text in words(section['RemoteIPRanges']) if holds(text, source)]
            return min(found)[1] if found else None
    return None


def rights(section, principals):
    """The rights that a session has which is all of these principals."""
    held = set()
    for group in words(section.get('PermissionGroups', 'None')):
        letter, principal = GROUPS.get(group, ('', None))
        if principal in principals:
            held |= {right for right, letters in RIGHTS.items() if letter and letter in letters}
    for key, change in (('ExtendedRights', held.add), ('DeniedRights', held.discard)):
        for entry in words(section.get(key, '')):
            principal, right = entry.split(': ')
            if principal in principals:
                change(right)
    return held


def principals(section, extra=()):
    found = {'anonymous', *extra}
    if 'ExternalAuthoritative' in words(section.get('AuthMechanism', '')):
        found.add('externally-secured')
    return found


# ---- Domains -----------------------------------------------------------------------------------

def domain_type(config, domain):
    """Type of the most specific accepted domain that covers it, or None."""
    found = []
    domain = domain.lower()
    for name, section in config.items():
        if not name.startswith('accepted-domain '):
            continue
        accepted = name.split(' ', 1)[1]
        base = accepted.removeprefix('*.')
        below = domain.endswith('.' + base)
        if (domain == base and accepted == base) or \
                (below and (accepted != base or is_on(section, 'MatchSubDomains', 'no'))):
            found.append((len(base), section.get('Type', 'Authoritative')))
    return max(found)[1] if found else None


def reserved(section, domain):
    labels = domain.lower().split('.')
    if is_on(section, 'RejectReservedTopLevelRecipientDomains', 'no') and \
            labels[-1] in RESERVED_TOP:
        return '501 5.1.4 Recipient address reserved by RFC 2606'
    if is_on(section, 'RejectReservedSecondLevelRecipientDomains', 'no') and \
            '.'.join(labels[-2:]) in RESERVED_SECOND:
        return '501 5.1.5 Recipient address reserved by RFC 2606'
    if is_on(section, 'RejectSingleLabelRecipientDomains', 'no') and len(labels) == 1:
        return '501 5.1.6 Recipient addresses in single label domains not accepted'
    return None


# ---- The session -------------------------------------------------------------------------------

class Session:
    """Replies of one session; addresses are lists of the domains that they may be routed to."""

    def __init__(self, config, name, source, extra=(), blocked=False):
        self.config, self.section = config, config[f'connector {name}']
        self.source, self.blocked = source, blocked
        self.rights = rights(self.section, principals(self.section, extra))
        self.dialect = config['gate'].get('ReplyDialect', '2007') == '2016'
        self.fqdn = self.section.get('Fqdn', config['gate']['Name'])
        self.sender = False
        self.recipients = 0

    def has(self, right):
        return 'ms-Exch-' + right in self.rights

    def banner(self):
        """How it begins; a date may follow."""
        return self.section.get(
            'Banner', f'220 {self.fqdn} Microsoft ESMTP MAIL Service ready at ')

    def hello(self):
        """The first line's text, and the set of the keywords with their values."""
        keywords = {word for word, key in KEYWORDS.items()
                    if is_on(self.section, key, 'no' if key in OFF else 'yes')}
        if 'CHUNKING' not in keywords:
            keywords.discard('BINARYMIME')
        size = self.section.get('SizeEnabled', 'Enabled')
        if size != 'Disabled':
            limit = self.section.get('MaxMessageSize', str(36 << 20))
            hidden = size == 'EnabledWithoutValue' or self.has('Bypass-Message-Size-Limit')
            keywords.add('SIZE' if hidden else f'SIZE {limit}')
        if self.has('SMTP-Accept-Exch50'):
            keywords.add('XEXCH50')
        return f'{self.fqdn} Hello [{self.source}]', keywords

    def mail(self, domains):
        refusal = self.sender_refusal(domains)
        self.sender = refusal is None
        return refusal or '250 2.1.0 Sender OK'

    def sender_refusal(self, domains):
        types = [domain_type(self.config, domain) for domain in domains]
        if not self.has('SMTP-Submit'):
            return DIALECTS['submit'][self.dialect]
        if not self.has('SMTP-Accept-Any-Sender') and None in types:
            return DIALECTS['sender'][self.dialect]
        if not self.has('SMTP-Accept-Authoritative-Domain-Sender') and 'Authoritative' in types:
            return NOT_AS_OWN
        return None

    def rcpt(self, domains):
        """None: what the backend says. No domain at all is <postmaster>."""
        if not self.sender:
            return '503 5.5.2 Need mail command'
        if self.blocked:
            return f'550 5.7.1 {self.source} is on the block list'
        if not self.has('SMTP-Accept-Any-Recipient') and \
                None in [domain_type(self.config, domain) for domain in domains]:
            return DIALECTS['relay'][self.dialect]
        for domain in domains:
            if refusal := reserved(self.section, domain):
                return refusal
        if self.recipients >= int(self.section.get('MaxRecipientsPerMessage', '200')):
            return '452 4.5.3 Too many recipients'
        self.recipients += 1
        return None

#!/usr/bin/perl
# Asks munin's own modules. A question is ten bytes of kind, four of length, and
# that many bytes; the answer is one line of JSON.
#
#   config   a munin.conf: what munin-update holds of it, or that it refuses
#   address  the value of an address key: where munin-update connects to
#   allow    a line with a peer's address, then a munin-node.conf: whether
#            Net::Server lets the peer in
#   nodeconf a munin-node.conf: whether munin-node reads it
#   ntop     16 bytes: the address as Socket6 prints it
use strict;
use warnings;
no warnings 'once';
use JSON::PP;
use Log::Log4perl qw(:levels);
use Munin::Master::Config;
use Munin::Master::Node;
use Munin::Node::Config;
use Net::Server;
use Socket;
use Socket6 ();
use URI;

local $SIG{__WARN__} = sub { };
Log::Log4perl->easy_init($OFF);
binmode STDIN;
binmode STDOUT;
$| = 1;
my $json = JSON::PP->new->canonical->ascii;

sub settings {
    my ($object, @skip) = @_;
    my %skip = map { $_ => 1 } @skip;
    return { map { $_ => defined $object->{$_} ? "$object->{$_}" : undef } grep { !$skip{$_} } keys %$object };
}

sub walk {
    my ($object, $path, $sections) = @_;
    for my $name (keys %{ $object->{groups} || {} }) {
        my $group = $object->{groups}{$name};
        my $full  = $path . $name . ';';
        my $own   = settings($group, qw(groups hosts group group_name));
        $sections->{$full} = $own if %$own;
        for my $host (keys %{ $group->{hosts} || {} }) {
            $sections->{ $full . $host } = settings($group->{hosts}{$host}, 'group');
        }
        walk($group, $full, $sections);
    }
}

sub config {
    my ($text) = @_;
    open my $file, '<', \$text or die;
    my $config = bless { config_file => 'x', groups => {} }, 'Munin::Master::Config';
    eval { $config->parse_config($file); 1 } or return { refused => 1 };
    my %sections;
    my $own = settings($config, qw(config_file groups));
    $sections{''} = $own if %$own;
    walk($config, '', \%sections);
    return { sections => \%sections };
}

sub address {
    my ($text) = @_;
    my %seen;
    no warnings 'redefine';
    local *IO::Socket::INET6::new = sub { my ($class, %args) = @_; $seen{host} = $args{PeerAddr}; $seen{port} = $args{PeerPort}; return undef };
    my $node = Munin::Master::Node->new($text, 4949, 'host', {});
    my $done = eval { $node->_do_connect() };
    if (defined $seen{host}) {
        # What IO::Socket::INET6 makes of host and port, without connecting.
        my ($host, $port) = IO::Socket::INET6::_sock_info($seen{host}, $seen{port}, 'tcp');
        my @found = defined $host ? Socket6::getaddrinfo($host, $port, Socket::AF_UNSPEC(), Socket::SOCK_STREAM(), 0, Socket6::AI_NUMERICHOST()) : ();
        if (@found >= 5) {
            my ($numeric, $service) = Socket6::getnameinfo($found[3], Socket6::NI_NUMERICHOST() | Socket6::NI_NUMERICSERV());
            return { uri => $seen{host}, connects => $numeric, port => $service };
        }
    }
    return { uri => $seen{host} };
}

sub node_file {
    my ($text) = @_;
    my $path = "/tmp/munin-oracle-$$.conf";
    open my $file, '>', $path or die;
    print $file $text;
    close $file;
    return $path;
}

sub allow {
    my ($peer, $text) = split /\n/, $_[0], 2;
    my $path   = node_file($text);
    my $server = bless { server => { peeraddr => $peer } }, 'Net::Server';
    my $args   = $server->_read_conf($path);
    unlink $path;
    my %lists = map { $_ => [] } qw(allow deny cidr_allow cidr_deny);
    $server->process_args($args, \%lists);
    $server->{server}{$_} = $lists{$_} for keys %lists;
    my $admitted = eval { $server->allow_deny(bless {}, 'Peer') };
    return { admitted => $admitted ? JSON::PP::true : JSON::PP::false };
}

sub nodeconf {
    my ($text) = @_;
    open my $file, '<', \$text or die;
    my $config = bless {}, 'Munin::Node::Config';
    return { refused => (eval { $config->parse_config($file); 1 } ? JSON::PP::false : JSON::PP::true) };
}

my %answers = (
    config   => \&config,
    address  => \&address,
    allow    => \&allow,
    nodeconf => \&nodeconf,
    ntop     => sub { { text => Socket6::inet_ntop(Socket::AF_INET6(), $_[0]) } },
);

while (read(STDIN, my $head, 14) == 14) {
    my $kind   = substr($head, 0, 10);
    $kind =~ tr/ //d;
    my $length = unpack 'N', substr($head, 10);
    my $text   = '';
    if ($length) { read(STDIN, $text, $length) == $length or die 'short question' }
    print $json->encode($answers{$kind}->($text)), "\n";
}

package Peer;
sub NS_proto { 'TCP' }

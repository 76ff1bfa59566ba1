#!/usr/bin/env -S svctree run -c
# A FastCGI program that a web server starts by itself (mod_fcgid, lighttpd's bin-path,
# spawn-fcgi): it serves on the socket that is its standard input.
[svctree]
application = svctree.demo:application
pythonpath = .
protocol = fastcgi
listen = stdin
detach = no
workermodel = single

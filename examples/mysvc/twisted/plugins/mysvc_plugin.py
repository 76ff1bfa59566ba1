from svctree.service import ServiceMaker

mysvc = ServiceMaker("mysvc", "mysvc.tap", "Serve mysvc.", "mysvc")

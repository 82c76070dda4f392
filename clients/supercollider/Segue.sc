// Made by `python -m segue.server.projections`, not by hand. One server: Segue.new.deck(1).continue(beats: 8)

Segue {
	var <addr, <decks, <values, <jobs, <>latency, <>onEvent, lease, receiver, count;

	*new { |host = "127.0.0.1", port = 7348|
		^super.new.init(host, port)
	}

	init { |host, port|
		addr = NetAddr(host, port);
		decks = IdentityDictionary.new;
		values = IdentityDictionary.new;
		jobs = IdentityDictionary.new;
		count = 1000.rand + 1 * 10000;
		receiver = { |msg, time, from| if(msg[0].asString.beginsWith("/segue/")) { this.heard(msg, time) } };
		thisProcess.addOSCRecvFunc(receiver);
		addr.sendMsg('/segue/notify');
		lease = SkipJack({ addr.sendMsg('/segue/notify') }, 10, name: "segue");
	}

	free {
		lease.stop;
		thisProcess.removeOSCRecvFunc(receiver);
		addr.sendMsg('/segue/notify', 0);
	}

	deck { |number = 1|
		^decks[number] ?? { decks[number] = SegueDeck(this, number); decks[number] }
	}

	// Sends now, or as a bundle that sounds latency seconds from now.
	send { |address ... args|
		if(latency.isNil) { addr.sendMsg(address, *args) } { addr.sendBundle(latency, [address] ++ args) }
	}

	// Sends one value if there is one, and returns what was told last.
	value { |address, value|
		if(value.notNil) { values[address] = value; this.send(address, value) };
		^values[address]
	}

	nextJob { count = count + 1; ^count }

	heard { |msg, time|
		switch(msg[0],
			'/segue/job', { jobs[msg[1]] = (deck: msg[2], verb: msg[3], state: msg[4], progress: msg[5], sentence: msg[6]) },
			'/segue/fail', { ("segue: " ++ msg[1] ++ ": " ++ msg[2]).warn },
			{ if(msg.size == 2) { values[msg[0]] = msg[1] } }
		);
		onEvent.value(msg, time);
	}

	tempo { |value| ^this.value('/segue/tempo', value) }
	tempo_ { |value| this.value('/segue/tempo', value) }

	meter { |value| ^this.value('/segue/meter', value) }
	meter_ { |value| this.value('/segue/meter', value) }

	syncSource { |value| ^this.value('/segue/sync/source', value) }
	syncSource_ { |value| this.value('/segue/sync/source', value) }

	transport { |value| ^this.value('/segue/transport', value) }
	transport_ { |value| this.value('/segue/transport', value) }

	// taps the tempo: the median of the last four intervals
	tap { this.send('/segue/tap') }

	// says that this moment is the first beat of a bar
	downbeat { this.send('/segue/downbeat') }

	// moves the beat
	nudge { |beats| this.send('/segue/nudge', *[beats].reject(_.isNil)) }

	monitor { |value| ^this.value('/segue/monitor', value) }
	monitor_ { |value| this.value('/segue/monitor', value) }

	generated { |value| ^this.value('/segue/generated', value) }
	generated_ { |value| this.value('/segue/generated', value) }

	reference { |value| ^this.value('/segue/reference', value) }
	reference_ { |value| this.value('/segue/reference', value) }

	speculateShare { |value| ^this.value('/segue/speculate/share', value) }
	speculateShare_ { |value| this.value('/segue/speculate/share', value) }

	// keeps every value of every deck under a number
	sceneSave { |scene| this.send('/segue/scene/save', *[scene].reject(_.isNil)) }

	// sets what was kept under a number
	sceneRecall { |scene| this.send('/segue/scene/recall', *[scene].reject(_.isNil)) }

	lock { |value| ^this.value('/segue/lock', value) }
	lock_ { |value| this.value('/segue/lock', value) }

	// ends every take on every deck within 10 ms
	panic { this.send('/segue/panic') }

	// asks for the state of everything
	status { this.send('/segue/status') }

	// asks for the version
	version { this.send('/segue/version') }

	// answers once everything sent before has been carried out
	sync { |id| this.send('/segue/sync', *[id].reject(_.isNil)) }

	// asks for the sample clock
	clock { this.send('/segue/clock') }

	// sends the spectrum of what comes in and of what sounds too, for as long as notify's lease runs
	spectrum { |on| this.send('/segue/spectrum', *[on].reject(_.isNil)) }

	// binds the next MIDI message to an address; without one, no more
	midiLearn { |address| this.send('/segue/midi/learn', *[address].reject(_.isNil)) }

	// asks for the MIDI map; with a text, which docs/MIDI.md describes, sets it
	midiMap { |text| this.send('/segue/midi/map', *[text].reject(_.isNil)) }

	// asks for the levels once, deck by deck
	meters { this.send('/segue/meters') }

	// prints every message that arrives
	dumpOsc { |on| this.send('/segue/dump_osc', *[on].reject(_.isNil)) }

	// forgets all messages that are not due yet
	clearSched { this.send('/segue/clear_sched') }

	// ends the server
	quit { this.send('/segue/quit') }
}

SegueDeck {
	var <segue, <number;

	*new { |segue, number| ^super.newCopyArgs(segue, number) }

	address { |name| ^("/segue/deck/" ++ number ++ "/" ++ name).asSymbol }

	// What it plays: dry, slot_a, slot_b, loop or silence.
	state { ^segue.values[this.address("state")] }

	// Sends a verb; returns the number of its job.
	take { |verb, options|
		var pairs = options.clump(2).reject({ |pair| pair[1].isNil });
		var id = pairs.detect({ |pair| pair[0] == 'id' });
		if(id.isNil) { id = ['id', segue.nextJob]; pairs = pairs.add(id) };
		segue.send(this.address(verb), *pairs.flatten(1));
		^id[1]
	}

	verb { |verb, args, options|
		var pairs = options.clump(2).reject({ |pair| pair[1].isNil });
		segue.send(this.address(verb), *(args.reject(_.isNil) ++ pairs.flatten(1)));
	}

	// plays on from what has just sounded (continuation)
	continue { |beats, sec, seed, steps, xi, regime, quant, xfade, commit, id, tLevel, endless, sampler| 
		^this.take("continue", ['beats', beats, 'sec', sec, 'seed', seed, 'steps', steps, 'xi', xi, 'regime', regime, 'quant', quant, 'xfade', xfade, 'commit', commit, 'id', id, 'T', tLevel, 'endless', endless, 'sampler', sampler])
	}

	// bridges into another deck and goes on there (transition)
	transition { |to, at, beats, sec, seed, steps, xi, regime, quant, xfade, commit, id, k, align, limit| 
		^this.take("transition", ['to', to, 'at', at, 'beats', beats, 'sec', sec, 'seed', seed, 'steps', steps, 'xi', xi, 'regime', regime, 'quant', quant, 'xfade', xfade, 'commit', commit, 'id', id, 'k', k, 'align', align, 'limit', limit])
	}

	// fills the coming stretch anew, joined to what follows on a file deck (infill)
	infill { |beats, sec, seed, steps, xi, regime, quant, xfade, commit, id, tLevel| 
		^this.take("infill", ['beats', beats, 'sec', sec, 'seed', seed, 'steps', steps, 'xi', xi, 'regime', regime, 'quant', quant, 'xfade', xfade, 'commit', commit, 'id', id, 'T', tLevel])
	}

	// varies what was heard last, keeping its outline (renoise, from T or the level of k)
	vary { |beats, sec, seed, steps, xi, regime, quant, xfade, commit, id, k, tLevel| 
		^this.take("vary", ['beats', beats, 'sec', sec, 'seed', seed, 'steps', steps, 'xi', xi, 'regime', regime, 'quant', quant, 'xfade', xfade, 'commit', commit, 'id', id, 'k', k, 'T', tLevel])
	}

	// makes the last phrase into a loop that closes without a seam (loop)
	loop { |beats, sec, seed, steps, xi, regime, quant, xfade, commit, id| 
		^this.take("loop", ['beats', beats, 'sec', sec, 'seed', seed, 'steps', steps, 'xi', xi, 'regime', regime, 'quant', quant, 'xfade', xfade, 'commit', commit, 'id', id])
	}

	// continues in the style of a deck or a file, towards a class, or both (embedder and classifier guidance)
	style { |deck, path, className, beats, sec, seed, steps, xi, regime, quant, xfade, commit, id, tLevel, weight, classWeight, reconstruction| 
		^this.take("style", ['deck', deck, 'path', path, 'class', className, 'beats', beats, 'sec', sec, 'seed', seed, 'steps', steps, 'xi', xi, 'regime', regime, 'quant', quant, 'xfade', xfade, 'commit', commit, 'id', id, 'T', tLevel, 'weight', weight, 'class_weight', classWeight, 'reconstruction', reconstruction])
	}

	// plays something new: a groove at the tempo that the model moves; T 1: noise alone
	generate { |beats, sec, seed, steps, xi, regime, quant, xfade, commit, id, tLevel| 
		^this.take("generate", ['beats', beats, 'sec', sec, 'seed', seed, 'steps', steps, 'xi', xi, 'regime', regime, 'quant', quant, 'xfade', xfade, 'commit', commit, 'id', id, 'T', tLevel])
	}

	// plays a take that was held back by `commit 0`
	commit { |id, quant, xfade| 
		this.verb("commit", [], ['id', id, 'quant', quant, 'xfade', xfade])
	}

	// drops the newest pending job
	cancel { |id| 
		this.verb("cancel", [], ['id', id])
	}

	// ends the take and returns to dry
	stop { |quant, xfade| 
		this.verb("stop", [], ['quant', quant, 'xfade', xfade])
	}

	// keeps what has just sounded as a take; with a quant what ends nearest to it
	capture { |beats, sec, quant| 
		this.verb("capture", [], ['beats', beats, 'sec', sec, 'quant', quant])
	}

	// adds one round of what is played over the loop to it, as a layer that undo takes off
	overdub { |quant| 
		this.verb("overdub", [], ['quant', quant])
	}

	// one switch for all: pressed it records, closes the loop, plays on from it; held for 0.6 s it takes that back
	footswitch { |down| 
		this.verb("footswitch", [down], [])
	}

	// pins the context: later verbs condition on this moment; 0 unpins
	freeze { |on| 
		this.verb("freeze", [on], [])
	}

	// plays the take before this one
	undo { 
		this.verb("undo", [], [])
	}

	// plays the take that `undo` left
	redo { 
		this.verb("redo", [], [])
	}

	// loads a file, which makes this a file deck; its level, tempo and beats are found out unless they are said
	load { |path, gain, bpm, beat| 
		this.verb("load", [path], ['gain', gain, 'bpm', bpm, 'beat', beat])
	}

	// starts the file
	play { |quant| 
		this.verb("play", [], ['quant', quant])
	}

	// pauses the file
	pause { |quant| 
		this.verb("pause", [], ['quant', quant])
	}

	// moves to a place in the file
	seek { |sec| 
		this.verb("seek", [sec], [])
	}

	// moves to a place in the file and pauses there
	cue { |sec| 
		this.verb("cue", [sec], [])
	}

	// plays a take that stands ready on the cue pair, as it would sound if it were selected now; the main out goes on
	audition { |verb, seed, id| 
		^this.take("audition", ['verb', verb, 'seed', seed, 'id', id])
	}

	gain { |value| ^segue.value(this.address("gain"), value) }
	gain_ { |value| segue.value(this.address("gain"), value) }

	speculate { |value| ^segue.value(this.address("speculate"), value) }
	speculate_ { |value| segue.value(this.address("speculate"), value) }

	candidates { |value| ^segue.value(this.address("candidates"), value) }
	candidates_ { |value| segue.value(this.address("candidates"), value) }

	seeds { |value| ^segue.value(this.address("seeds"), value) }
	seeds_ { |value| segue.value(this.address("seeds"), value) }

	mute { |value| ^segue.value(this.address("mute"), value) }
	mute_ { |value| segue.value(this.address("mute"), value) }

	solo { |value| ^segue.value(this.address("solo"), value) }
	solo_ { |value| segue.value(this.address("solo"), value) }

	inputs { |value| ^segue.value(this.address("inputs"), value) }
	inputs_ { |value| segue.value(this.address("inputs"), value) }

	gate { |value| ^segue.value(this.address("gate"), value) }
	gate_ { |value| segue.value(this.address("gate"), value) }

	steps { |value| ^segue.value(this.address("steps"), value) }
	steps_ { |value| segue.value(this.address("steps"), value) }

	xi { |value| ^segue.value(this.address("xi"), value) }
	xi_ { |value| segue.value(this.address("xi"), value) }

	k { |value| ^segue.value(this.address("k"), value) }
	k_ { |value| segue.value(this.address("k"), value) }

	weight { |value| ^segue.value(this.address("weight"), value) }
	weight_ { |value| segue.value(this.address("weight"), value) }

	classWeight { |value| ^segue.value(this.address("class_weight"), value) }
	classWeight_ { |value| segue.value(this.address("class_weight"), value) }

	reconstruction { |value| ^segue.value(this.address("reconstruction"), value) }
	reconstruction_ { |value| segue.value(this.address("reconstruction"), value) }

	regime { |value| ^segue.value(this.address("regime"), value) }
	regime_ { |value| segue.value(this.address("regime"), value) }

	quant { |value| ^segue.value(this.address("quant"), value) }
	quant_ { |value| segue.value(this.address("quant"), value) }

	xfade { |value| ^segue.value(this.address("xfade"), value) }
	xfade_ { |value| segue.value(this.address("xfade"), value) }

	beats { |value| ^segue.value(this.address("beats"), value) }
	beats_ { |value| segue.value(this.address("beats"), value) }
}

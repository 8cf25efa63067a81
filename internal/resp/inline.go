package resp

// split cuts a line into words as sdssplitargs of Redis does: in double quotes
// with escapes, in single quotes as they are.
func split(line []byte) ([][]byte, error) {
	var words [][]byte
	for i := 0; ; {
		for i < len(line) && space(line[i]) {
			i++
		}
		if i == len(line) {
			return words, nil
		}
		word := []byte{}
		for i < len(line) && !space(line[i]) {
			var err error
			switch line[i] {
			case '"':
				word, i, err = double(word, line, i+1)
			case '\'':
				word, i, err = single(word, line, i+1)
			default:
				word = append(word, line[i])
				i++
			}
			if err != nil {
				return nil, err
			}
		}
		words = append(words, word)
	}
}

func space(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// closed returns i behind a closing quote, which must end the word.
func closed(line []byte, i int) (int, error) {
	if i+1 < len(line) && !space(line[i+1]) {
		return 0, errQuotes
	}
	return i + 1, nil
}

func double(word, line []byte, i int) ([]byte, int, error) {
	for ; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && i+3 < len(line) && line[i+1] == 'x' && hex(line[i+2]) >= 0 && hex(line[i+3]) >= 0:
			word = append(word, byte(hex(line[i+2])<<4|hex(line[i+3])))
			i += 3
		case c == '\\' && i+1 < len(line):
			i++
			word = append(word, escaped(line[i]))
		case c == '"':
			i, err := closed(line, i)
			return word, i, err
		default:
			word = append(word, c)
		}
	}
	return nil, 0, errQuotes
}

func escaped(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'b':
		return '\b'
	case 'a':
		return '\a'
	}
	return c
}

func single(word, line []byte, i int) ([]byte, int, error) {
	for ; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && i+1 < len(line) && line[i+1] == '\'':
			i++
			word = append(word, '\'')
		case c == '\'':
			i, err := closed(line, i)
			return word, i, err
		default:
			word = append(word, c)
		}
	}
	return nil, 0, errQuotes
}

func hex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
